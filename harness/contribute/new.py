"""Makes an experiment folder: that of another with some values changed, checked before a file is written."""

import copy
from pathlib import Path
from typing import Any

from harness.adapter_config import build_adapter_config
from harness.arguments import nest
from harness.contribute.defaults import strip_adapter, strip_params, write_json
from harness.contribute.places import locate
from harness.errors import UserError, did_you_mean
from harness.experiment import CONTENT, parameter_layers, preset_layer
from harness.files import display_path, read_json
from harness.optimizers import check_optimizer
from harness.overlay import Layer, build_params, origin

PARAMETERS = "training"  # the first part of keys that belong into training_params.json


def new_experiment(
    name: str, task: str | None, like: str | None, settings: list[tuple[list[str], Any]], root: Path
) -> list[Path]:
    """Writes <task>/experiments/<method>/<name> and returns its files.

    Args:
        name: <method>/<name>.
        task: a folder of method_comparison; by default that of `like`.
        like: the experiment that it begins from; none for an adapter config of peft_type alone.
        settings: keys, as their parts, and values: of the adapter config, or of the parameters after "training".
        root: the checkout.

    Raises:
        UserError: the folder exists, or what it would hold is no experiment.
    """
    model = None if like is None else locate(like, task, root)
    folder = _place(name, task or (model.parents[2].name if model else None), root)
    own, adapter = ({}, {"peft_type": folder.parent.name.upper()}) if model is None else _read(model)
    for path, value in settings:
        target, inner = (own, path[1:]) if path[0] == PARAMETERS else (adapter, path)
        if target is None or not inner:
            raise UserError(f"--set: {'.'.join(path)}: "
                            + ("full fine-tuning has no adapter config" if inner else "name a parameter after it")
                            + f"; parameters are {PARAMETERS}.KEY")  # fmt: skip
        _merge(target, nest([(inner, value)]))
    own, adapter = _checked(folder, own, adapter)
    files = {"adapter_config.json": adapter or {}, "training_params.json": own}
    for file, values in files.items():
        write_json(folder / file, values)
    return [folder / file for file, values in files.items() if values]


def _place(name: str, task: str | None, root: Path) -> Path:
    tasks = [path.parent.name for path in (root / CONTENT).glob("*/data.py")]
    if task not in tasks:
        asked = "--task: missing" if task is None else f"--task: there is no {task!r}"
        raise UserError(f"{asked}; {did_you_mean(task or '', tasks)}")
    parts = name.split("/")
    if len(parts) != 2 or not all(plain_name(part) for part in parts):
        raise UserError(f"{name}: expected <method>/<name> of letters, digits, dots, _ and single hyphens, such as "
                        "lora/llama-3.2-3B-rank32")  # fmt: skip
    folder = root / CONTENT / task / "experiments" / name
    if folder.exists():
        raise UserError(f"{display_path(folder)}: exists; choose another name, since an experiment is never edited")
    return folder


def plain_name(part: str) -> bool:
    """Whether a folder may be called so: it is part of file names, where "--" separates."""
    letters = part.replace("-", "").replace("_", "").replace(".", "").replace("+", "")
    return letters.isascii() and letters.isalnum() and part[0] not in ".-" and "--" not in part


def _read(model: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    files = [model / "training_params.json", model / "adapter_config.json"]
    params, adapter = (read_json(file) if file.exists() else None for file in files)
    return copy.deepcopy(params or {}), adapter


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def _checked(
    folder: Path, own: dict[str, Any], adapter: dict[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Both files without defaults; raises UserError where they would be no experiment."""
    where = display_path(folder)
    *lower, _ = parameter_layers(folder)  # there is no such folder yet: the task's defaults
    preset = {key: own.pop(key) for key in ("profile",) if key in own}
    if preset:
        lower.append(preset_layer(folder.parents[2], preset["profile"], where))
    layers = [*lower, Layer(f"{where}/training_params.json", own)]
    params = build_params(layers)
    check_optimizer(params, lambda key: origin(layers, key))
    if not params.has_adapter:
        adapter = None
    elif adapter is not None:
        build_adapter_config(adapter, f"{where}/adapter_config.json", params)
    return preset | strip_params(own, lower), adapter and strip_adapter(adapter)
