"""Everything that is wrong with a folder's files: what is complained of is set aside, and the rest looked at again."""

import copy
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.adapter_config import build_adapter_config
from harness.contribute.concerns import Review, error
from harness.errors import UserError
from harness.experiment import Experiment, parameter_layers, read_experiment
from harness.files import named, read_json
from harness.optimizers import check_optimizer
from harness.overlay import Layer, build_params
from harness.params import TrainingParams

MOST = 20  # complaints about one file


def read_all(folder: Path, review: Review) -> Experiment | None:
    """The experiment of a folder; None where something is wrong with it, all of which `review` then has."""
    before = len(review.concerns)
    params = _parameters(folder, review)
    adapter = folder / "adapter_config.json"
    if os.path.lexists(adapter):
        with review.collecting(adapter):
            values = read_json(adapter)
            if params is not None:
                _complain(
                    review, lambda some: build_adapter_config(some, named(adapter), params), values, named(adapter)
                )
    if len(review.concerns) > before:
        return None
    with review.collecting(folder):
        experiment = read_experiment(folder)
        check_optimizer(experiment.params, experiment.origin)
        return experiment
    return None


def _parameters(folder: Path, review: Review) -> TrainingParams | None:
    """The folder's own, or those of its task where its own are wrong, so that the adapter can be looked at."""
    with review.collecting(folder / "training_params.json"):
        *lower, own = parameter_layers(folder)
        _complain(review, lambda some: build_params([*lower, Layer(own.name, some)]), own.values, own.name)
        return build_params(lower if review.has_errors else [*lower, own])
    return None


def _complain(review: Review, check: Callable[[dict], Any], values: dict[str, Any], where: str) -> None:
    review.concerns += map(error, every_complaint(check, values, where))


def every_complaint(check: Callable[[dict[str, Any]], Any], values: dict[str, Any], where: str) -> list[str]:
    """What `check` has to say about the values, each time without the keys that it complained of before.

    Args:
        check: raises UserError with a message that begins with `where` and a dotted key.
        values: content of a file.
        where: what messages call it.
    """
    messages: list[str] = []
    values = copy.deepcopy(values)
    for _ in range(MOST):
        try:
            check(values)
            break
        except UserError as found:
            message = str(found)
            key = re.match(r"([^:\s]+): ", message.removeprefix(f"{where}: "))
            removed = key is not None and key[1] != "peft_type" and _remove(values, key[1].split("."))
            if removed or not messages:  # what is missing only because it was set aside is no complaint
                messages.append(message)
            if not removed:
                break
    return messages


def _remove(values: dict[str, Any], path: list[str]) -> bool:
    for part in path[:-1]:
        if not isinstance(values.get(part), dict):
            return False
        values = values[part]
    return isinstance(values, dict) and values.pop(path[-1], values) is not values
