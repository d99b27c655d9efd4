"""Finding an experiment folder and reading what it says."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError, did_you_mean
from harness.overlay import Layer, build_params
from harness.params import TrainingParams

ROOT = Path(__file__).resolve().parent.parent
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

    @property
    def params_path(self) -> str:
        """Path of training_params.json from the root, for messages."""
        return f"{display_path(self.folder)}/training_params.json"


def display_path(path: Path) -> str:
    """The path from the checkout's root where it lies inside, else as it is."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def find_experiment(text: str, root: Path = ROOT) -> Path:
    """The folder that `text` names: relative, absolute, or `experiments/<method>/<name>` of any task.

    Raises:
        UserError: no such folder, several, or one that lies outside <root>/method_comparison.
    """
    given = Path(text).expanduser()
    tasks = sorted(path for path in (root / CONTENT).iterdir() if path.is_dir())
    candidates = [given] if given.is_absolute() else [Path.cwd() / given, root / given]
    candidates += [] if given.is_absolute() else [task / given for task in tasks]
    found = sorted({path.resolve() for path in candidates if path.is_dir()})
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


def read_json(path: Path) -> Any:
    """Parses one JSON file of the checkout; duplicate keys and links that lead out of it are errors.

    Raises:
        UserError: names the file, the line and what is wrong.
    """
    where = display_path(path.parent) + "/" + path.name
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise UserError(f"{where}: is a link that leads out of its folder; replace it by the file itself")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"{where}: {key}: given twice; keep one")
            found[key] = value
        return found

    try:
        hooks = {"object_pairs_hook": unique, "parse_constant": _no_constant, "parse_float": _finite}
        content = json.loads(path.read_text(encoding="utf-8"), **hooks)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON: {error}; save it as plain UTF-8 JSON") from None
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected one JSON object {{…}}, got {type(content).__name__}")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def read_experiment(
    folder: Path,
    overrides: dict[str, Any] | None = None,
    seed: int | None = None,
    checkpoint_minutes: float | None = None,
) -> Experiment:
    """Reads and validates an experiment: defaults ← profile ← experiment ← command line.

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
        layers.append(Layer("command line --set", overrides))
    if seed is not None:
        layers.append(Layer("command line --seed", {"seed": seed}))
    if checkpoint_minutes is not None:
        layers.append(Layer("command line --checkpoint-minutes", {"checkpoint_minutes": checkpoint_minutes}))
    params = build_params(layers)
    return Experiment(
        folder, task_folder, method, name, params, _read_adapter_config(folder, params), tuple(layers), overrides or {}
    )


def parameter_layers(folder: Path) -> list[Layer]:
    """The task's defaults, the profile where the folder names one, and the folder's own parameters."""
    task_folder = folder.parents[2]
    layers = [_layer(task_folder / "default_training_params.json")]
    own_file = folder / "training_params.json"
    own = _layer(own_file) if own_file.is_file() else Layer(display_path(folder) + "/training_params.json", {})
    profile = own.values.get("profile")
    if profile is not None:
        layers.append(profile_layer(task_folder, profile, own.name))
    layers.append(Layer(own.name, {key: value for key, value in own.values.items() if key != "profile"}))
    return layers


def profile_layer(task_folder: Path, profile: Any, asked_by: str) -> Layer:
    """The set of parameters profiles/<profile>.json beside a task's defaults."""
    known = {path.stem: path for path in (task_folder / "profiles").glob("*.json")}
    if not isinstance(profile, str) or profile not in known:
        raise UserError(f"{asked_by}: profile: unknown {profile!r}; {did_you_mean(str(profile), known)}")
    return _layer(known[profile])


def _layer(path: Path) -> Layer:
    if not path.is_file():
        raise UserError(f"{display_path(path.parent)}/{path.name}: missing; every task needs it")
    return Layer(f"{display_path(path.parent)}/{path.name}", read_json(path))


def _read_adapter_config(folder: Path, params: TrainingParams) -> dict[str, Any] | None:
    path = folder / "adapter_config.json"
    where = f"{display_path(folder)}/adapter_config.json"
    if params.full_finetuning and path.exists():
        raise UserError(f"{where}: full fine-tuning has no adapter; delete this file or the key full_finetuning")
    if not params.full_finetuning and not path.exists():
        raise UserError(f'{where}: missing; add a PEFT config, or say "full_finetuning": true in training_params.json')
    return read_json(path) if path.exists() else None
