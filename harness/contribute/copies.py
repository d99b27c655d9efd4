"""Near-copies: experiments that differ in numbers only, and in none of them by more than a quarter."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.adapter_config import Adapter
from harness.contribute.concerns import Concern, warning
from harness.errors import UserError
from harness.experiment import Experiment, display_path, read_experiment
from harness.overlay import flat

NEAR = 0.25


def near_copies(experiment: Experiment) -> Iterator[Concern]:
    """A warning for each other experiment of the task that is nearly the same."""
    own = _values(experiment)
    for folder in sorted(experiment.task_folder.glob("experiments/*/*")):
        other = _values_of(folder) if folder != experiment.folder else None
        if other is not None and _is_near(own, other):
            differs = [f"{key} {other[key]} there" for key in own if own[key] != other[key]] or ["nothing differs"]
            where, twin = display_path(experiment.folder), f"{folder.parent.name}/{folder.name}"
            yield warning(f"{where}: nearly {twin} ({', '.join(differs)}); an experiment should show something that "
                          "those beside it do not")  # fmt: skip


@functools.cache
def _values_of(folder: Path) -> dict[str, Any] | None:
    try:
        return _values(read_experiment(folder))
    except UserError:  # said where that folder is checked
        return None


def _values(experiment: Experiment) -> dict[str, Any]:
    """All that decides the run, PEFT's defaults included, under dotted keys."""
    adapter = Adapter.of(experiment)
    config = {} if adapter is None else json.loads(json.dumps(vars(adapter.config), default=_plain))
    return {key: sorted(map(str, value)) if isinstance(value, list) else value
            for key, value in flat({"training": experiment.params.fingerprinted(), **config}).items()}  # fmt: skip


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _is_near(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)


def _alike(one: Any, other: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return abs(one - other) <= NEAR * max(abs(one), abs(other)) if numbers else one == other
