"""What an experiment need not say: PEFT's defaults, which `save_pretrained` writes too, and the task's."""

import copy
import dataclasses
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

import harness.methods  # noqa: F401 (puts the project's own methods into PEFT's maps)
from harness.contribute.stored import results_of
from harness.errors import UserError, brief
from harness.experiment import parameter_layers
from harness.files import named, read_json
from harness.overlay import Layer, build_params
from harness.result.store import write_atomically

SAID_ANYWAY = ("peft_type", "task_type", "r")  # what people look for in the file
WRITTEN_BY_PEFT = ("peft_version", "inference_mode", "auto_mapping")  # about the file, not about the method


def peft_defaults(peft_type: Any) -> dict[str, Any]:
    """Of every field of a method's config, as JSON values; empty for a method that PEFT does not have."""
    known = {str(getattr(kind, "value", kind)): cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    cls = known.get(peft_type) if isinstance(peft_type, str) else None
    return {field.name: _default(field) for field in dataclasses.fields(cls) if field.init} if cls else {}


def _default(field: dataclasses.Field) -> Any:
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return value.value if isinstance(value, Enum) else list(value) if isinstance(value, set | tuple) else value


def strip_adapter(values: dict[str, Any]) -> dict[str, Any]:
    """The same config without what PEFT would take anyway."""
    defaults = peft_defaults(values.get("peft_type"))
    return {key: value for key, value in values.items() if key in SAID_ANYWAY or not (
        key in defaults and (key in WRITTEN_BY_PEFT or (value == defaults[key] and type(value) is type(defaults[key])))
    )}  # fmt: skip


def strip_params(own: dict[str, Any], lower: Sequence[Layer]) -> dict[str, Any]:
    """The same parameters without those that the layers below give anyway.

    Raises:
        UserError: something is wrong with them.
    """
    wanted, kept = build_params([*lower, Layer("own", own)]), copy.deepcopy(own)
    for path in list(_leaves(own)):
        trial = copy.deepcopy(kept)
        _remove(trial, path)
        try:
            if build_params([*lower, Layer("own", trial)]) == wanted:
                kept = trial
        except UserError:  # without this one it is no experiment
            continue
    return kept


def _leaves(values: dict[str, Any], prefix: tuple[str, ...] = ()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, key))
        else:
            yield (*prefix, key)


def _remove(values: dict[str, Any], path: tuple[str, ...]) -> None:
    first, *rest = path
    if rest:
        _remove(values[first], tuple(rest))
    if not rest or not values[first]:
        del values[first]


def fix(folder: Path, root: Path) -> list[str]:
    """Strips defaults from an experiment's files; a line for each file that was changed.

    Raises:
        UserError: a file cannot be read or is wrong; there are results, which its files as they are belong to.
    """
    wanted: dict[Path, dict[str, Any]] = {}
    adapter, params = folder / "adapter_config.json", folder / "training_params.json"
    if adapter.exists():
        wanted[adapter] = strip_adapter(read_json(adapter))
    if params.exists():
        own = read_json(params)
        preset = {key: own[key] for key in ("profile",) if key in own}
        *lower, layer = parameter_layers(folder)
        wanted[params] = preset | strip_params(layer.values, lower)
    changed = {path: values for path, values in wanted.items() if values != read_json(path)}
    if changed and (results := results_of(folder, root)):
        raise UserError(f"--fix: {named(results[0])}: is of these files as they are; nothing was changed")
    lines = []
    for path, values in changed.items():
        left_out = sorted(read_json(path).keys() - values.keys())
        write_json(path, values)
        lines.append(f"{named(path)}: left out defaults ({brief(', '.join(left_out))[1:-1]})")
    return lines


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes one of an experiment's files as all of them look; removes a training_params.json that says nothing."""
    if values:
        write_atomically(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    else:
        path.unlink(missing_ok=True)
