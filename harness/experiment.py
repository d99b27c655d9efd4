"""Finding an experiment folder and reading what it says."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError, brief, did_you_mean
from harness.files import ROOT, display_path, named, read_json
from harness.overlay import Layer, build_params, origin
from harness.params import TrainingParams

CONTENT = "method_comparison"


@dataclass(frozen=True)
class Experiment:
    """One folder experiments/<method>/<name>/, read and validated as far as that needs no torch.

    `layers` are the sources of the parameters, lowest first; `overrides` what the command line changed.
    """

    folder: Path
    task_folder: Path
    method: str
    name: str
    params: TrainingParams
    adapter_config: dict[str, Any] | None
    layers: tuple[Layer, ...]
    overrides: dict[str, Any]

    @property
    def task(self) -> str:
        """Name of the task's folder."""
        return self.task_folder.name

    @property
    def adapter_config_path(self) -> str:
        """Path from the root, for messages."""
        return f"{display_path(self.folder)}/adapter_config.json"

    def origin(self, key: str) -> str:
        """What messages about a parameter call the place that its value comes from: a file, or the command line."""
        return origin(self.layers, key)


def find_experiment(text: str, root: Path = ROOT) -> Path:
    """The folder that `text` names: relative, absolute, or `experiments/<method>/<name>` of any task.

    Raises:
        UserError: no such folder, several, or one that lies outside <root>/method_comparison.
    """
    given = Path(os.path.expanduser(text))  # leaves the ~ of an unknown user as it is
    tasks = sorted(path for path in (root / CONTENT).iterdir() if path.is_dir())
    candidates = [given] if given.is_absolute() else [Path.cwd() / given, root / given]
    candidates += [] if given.is_absolute() else [root / CONTENT / given, *(task / given for task in tasks)]
    found = sorted({path.resolve() for path in candidates if os.path.isdir(path)})  # False for an impossible name too
    if not found:
        raise UserError(f"{text}: no such experiment folder; {_nearest(text, root)}")
    inside = [path for path in found if _is_experiment(path, root)]
    if not inside:
        raise UserError(f"{text}: not an experiment folder; expected {CONTENT}/<Task>/experiments/<method>/<name>")
    if len(inside) > 1:
        names = ", ".join(display_path(path) for path in inside)
        raise UserError(f"{text}: ambiguous, give the whole path of one of: {names}")
    return inside[0]


def all_experiments(root: Path = ROOT) -> list[Path]:
    """Every experiment folder of every task, sorted."""
    content = (root / CONTENT).resolve()  # links are left out: they could lead out of the checkout
    return sorted(path for path in content.glob("*/experiments/*/*") if path.is_dir() and path == path.resolve())


def _is_experiment(path: Path, root: Path) -> bool:
    parts = path.relative_to(root / CONTENT).parts if path.is_relative_to(root / CONTENT) else ()
    return len(parts) == 4 and parts[1] == "experiments"


def _nearest(text: str, root: Path) -> str:
    known = {path.relative_to(path.parents[2]).as_posix() for path in all_experiments(root)}
    return did_you_mean("/".join(Path(text).parts[-3:]), known)


def read_experiment(
    folder: Path,
    overrides: dict[str, Any] | None = None,
    seed: int | None = None,
    checkpoint_minutes: float | None = None,
) -> Experiment:
    """Reads and validates an experiment: defaults ← preset ← experiment ← command line.

    Args:
        folder: as `find_experiment` returns it.
        overrides: nested parameters of `--set`; they mark the run as modified.
        seed: of `--seed`, which does not.
        checkpoint_minutes: of `--checkpoint-minutes`, which does not either.

    Raises:
        UserError: anything wrong in the folder's files.
    """
    task_folder, method, name = folder.parents[2], folder.parent.name, folder.name
    for part, kind in ((method, "method"), (name, "experiment")):
        if "--" in part:
            raise UserError(f'{display_path(folder)}: "--" is not allowed in the name of a {kind}; rename the folder')
    layers = parameter_layers(folder)
    if overrides:
        layers.append(Layer("command line", overrides))
    if seed is not None:
        layers.append(Layer("command line --seed", {"seed": seed}))
    if checkpoint_minutes is not None:
        layers.append(Layer("command line --checkpoint-minutes", {"checkpoint_minutes": checkpoint_minutes}))
    params = build_params(layers)
    return Experiment(
        folder, task_folder, method, name, params, _read_adapter_config(folder, params), tuple(layers), overrides or {}
    )


def parameter_layers(folder: Path) -> list[Layer]:
    """The task's defaults, the preset where the folder names one, and the folder's own parameters."""
    task_folder = folder.parents[2]
    layers = [_layer(task_folder / "default_training_params.json")]
    own_file = folder / "training_params.json"
    own = _layer(own_file) if os.path.lexists(own_file) else Layer(f"{display_path(folder)}/{own_file.name}", {})
    preset = own.values.get("profile")
    if preset is not None:
        layers.append(preset_layer(task_folder, preset, own.name))
    layers.append(Layer(own.name, {key: value for key, value in own.values.items() if key != "profile"}))
    return layers


def preset_layer(task_folder: Path, preset: Any, asked_by: str) -> Layer:
    """The set of parameters presets/<preset>.json beside a task's defaults.

    Experiments ask for it with the key "profile", which has nothing to do with run.py's --profile.
    """
    known = {path.stem: path for path in (task_folder / "presets").glob("*.json")}
    if not isinstance(preset, str) or preset not in known:
        raise UserError(
            f"{asked_by}: profile: unknown {brief(preset)}, no preset of {display_path(task_folder)}/presets; "
            f"{did_you_mean(str(preset), known)}"
        )
    return _layer(known[preset])


def _layer(path: Path) -> Layer:
    return Layer(named(path), read_json(path))


def _read_adapter_config(folder: Path, params: TrainingParams) -> dict[str, Any] | None:
    path = folder / "adapter_config.json"
    there = os.path.lexists(path)  # also where it is no file: read_json says so
    if not params.has_adapter and there:
        kind, key = ("train_only", "train_only") if params.train_only else ("full fine-tuning", "full_finetuning")
        raise UserError(f"{named(path)}: {kind} has no adapter; delete this file or the key {key}")
    if params.has_adapter and not there:
        raise UserError(
            f'{named(path)}: missing; add a PEFT config, or, to train every weight, write "full_finetuning": true, '
            '"dtype": "float32", "use_amp": true into training_params.json'
        )
    return read_json(path) if there else None
