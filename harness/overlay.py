"""Parameters come in layers: task defaults ← preset ← experiment ← command line, merged deeply, blamed precisely."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.errors import UserError, brief, did_you_mean
from harness.params import GenerationKwargs, Initialization, TrainingParams

# Setting one of these says that the value a lower layer gave to the others no longer applies: a revision belongs to
# one model, and a run's length is counted either in steps or in epochs.
SUPERSEDES = {
    "model_id": ("model_revision",),
    "max_steps": ("num_epochs", "min_steps"),
    "num_epochs": ("max_steps",),
    "optimizer_type": ("optimizer_kwargs",),
}


# Where a parameter is that many people would look for at the top.
NESTED = {name: f"generation_kwargs.{name}" for name in GenerationKwargs.model_fields}
NESTED |= {name: f"optimizer_kwargs.{name}" for name in ("lr", "weight_decay", "betas", "eps", "momentum")}
NESTED |= {"learning_rate": "optimizer_kwargs.lr", "init_kv_cache_prefix": "initialization.text"}
# Keys of the layout that Hugging Face publishes, with the line that says the same here.
PUBLISHED = {"use_gc": '"gradient_checkpointing"'}
# Parameters that are groups of others.
GROUPS = {"generation_kwargs": GenerationKwargs, "initialization": Initialization}


Origin = Callable[[str], str]  # what messages call the place that a parameter comes from; Experiment.origin is one


@dataclass(frozen=True)
class Layer:
    """Values from one place: `name` is what error messages call it (a path from the root, or the command line)."""

    name: str
    values: dict[str, Any]

    @property
    def is_file(self) -> bool:
        """Whether the values stand in a file, not on the command line or in code."""
        return self.name.endswith(".json")


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """Merges nested dictionaries deeply, later layers over earlier ones; see SUPERSEDES for what falls away."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, superseded in SUPERSEDES.items():
            changed = key in layer.values and layer.values[key] != merged.get(key)
            if changed:
                for name in superseded:
                    merged.pop(name, None)
        merged = _deep_merge(merged, layer.values)
    return merged


def _deep_merge(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in upper.items():
        both_nested = isinstance(value, dict) and isinstance(lower.get(key), dict)
        merged[key] = _deep_merge(lower[key], value) if both_nested else value
    return merged


def build_params(layers: Sequence[Layer]) -> TrainingParams:
    """Merges and validates.

    Raises:
        UserError: the first thing wrong, with the layer it comes from, the key, what was expected and, for an unknown
            key, the nearest name that exists.
    """
    try:
        return TrainingParams.model_validate(merge(layers))
    except ValidationError as error:
        raise UserError(_explain(error.errors()[0], layers)) from None


def _explain(problem: dict[str, Any], layers: Sequence[Layer]) -> str:
    path = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    if not path:  # a combination: its message starts with the key
        key, _, rest = message.partition(": ")
        involved = re.findall(r"[a-z_]+", message.replace("full fine-tuning", "full_finetuning"))
        known = [name for name in involved if name in TrainingParams.model_fields]
        return f"{origin(layers, *known)}: {key}: {rest}"
    path = path[:2] if path[0] in (*GROUPS, "optimizer_kwargs") else path[:1]
    where = f"{_origin(layers, path)}: {'.'.join(path)}"
    if path == ["profile"]:
        return f"{where}: only an experiment's own training_params.json names a preset; give its values one by one"
    if problem["type"] == "extra_forbidden":
        model = GROUPS[path[0]] if len(path) == 2 else TrainingParams
        if path[0] in PUBLISHED:
            return f"{where}: unknown key; write {PUBLISHED[path[0]]}: {json.dumps(problem['input'])} instead"
        nested = NESTED.get(path[0])
        remedy = f'did you mean "{nested}"?' if nested else did_you_mean(path[-1], model.model_fields)
        return f"{where}: unknown key; {remedy}"
    if problem["type"] == "missing":
        return f"{where}: missing; add it ({_description(path)})"
    return f"{where}: {message[0].lower()}{message[1:]}, got {brief(problem['input'])} ({_description(path)})"


def _description(path: list[str]) -> str:
    model = GROUPS.get(path[0], TrainingParams) if len(path) == 2 else TrainingParams
    field = model.model_fields.get(path[-1]) or TrainingParams.model_fields[path[0]]
    return field.description


def origin(layers: Sequence[Layer], *keys: str) -> str:
    """Name of the layer that is to be told when something is wrong with the value of a parameter.

    Args:
        layers: the sources of the parameters, lowest first.
        keys: parameters, nested ones with a dot ("optimizer_kwargs.lr"); several where their combination is wrong.

    Returns:
        the uppermost layer that sets one of them or supersedes it; where none does, the uppermost file, which should.
    """
    return _origin(layers, *(key.split(".") for key in keys))


def _origin(layers: Sequence[Layer], *paths: list[str]) -> str:
    for layer in reversed(layers):
        if any(_decides(layer, path) for path in paths):
            return layer.name
    files = [layer for layer in layers if layer.is_file]
    return (files or layers)[-1].name


def _decides(layer: Layer, path: list[str]) -> bool:
    superseding = {key for key, superseded in SUPERSEDES.items() if path[0] in superseded}
    values: Any = layer.values
    for part in path:
        values = values.get(part, _ABSENT) if isinstance(values, dict) else _ABSENT
    return values is not _ABSENT or bool(superseding & layer.values.keys())


_ABSENT = object()


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names; an empty object is a value."""
    if not isinstance(values, dict) or not values:
        return {prefix: values} if prefix else {}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found
