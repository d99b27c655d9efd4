"""What one experiment's files say beyond their row: settings against the defaults, logs, pictures."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from pydantic import BaseModel

from harness.errors import UserError
from harness.experiment import CONTENT, ROOT, read_json
from harness.overlay import flat
from harness.params import GenerationKwargs, TrainingParams
from harness.result.files import UnreadableError, read_object
from harness.result.units import MISSING

LONGEST_LOG = 5000  # lines of a training log that are drawn
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
ABSENT = object()


@dataclass(frozen=True)
class RunFile:
    """One result file: its path from the root, its seed and its whole content; `problem` where it cannot be read."""

    source: str
    seed: int | None
    content: dict[str, Any]
    problem: str = ""

    @property
    def name(self) -> str:
        """For people: 'seed 0'."""
        return "seed unknown" if self.seed is None else f"seed {self.seed}"

    def value(self, *path: str) -> Any:
        """What lies under nested keys; None where it is missing."""
        value: Any = self.content
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def part(self, *path: str) -> dict[str, Any]:
        """A nested object; empty where it is missing or none."""
        value = self.value(*path)
        return value if isinstance(value, dict) else {}

    def rows(self, *path: str) -> list[dict[str, Any]]:
        """A nested list of objects; what is no object is left out."""
        value = self.value(*path)
        return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

    def log(self, key: str) -> list[tuple[float, float]]:
        """Step and figure of each line of the training log that has both; "valid" is the validation score."""
        points = []
        for line in self.rows("train_info", "metrics")[:LONGEST_LOG]:
            names = (
                [key]
                if key != "valid"
                else [name for name in line if name.startswith("valid ") and name != "valid loss"]
            )
            pair = [line.get("step"), *(line[name] for name in names[:1] if name in line)]
            if len(pair) == 2 and all(
                isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e300 for one in pair
            ):
                points.append((pair[0], pair[1]))
        return points

    def pictures(self) -> list[tuple[str, str, str]]:
        """What a picture is, its name in the result, and its prompt: samples first, then training images."""
        named = [("sample", one.get("image"), one.get("prompt")) for one in self.rows("quality", "samples")]
        training = self.value("quality", "training_images")
        named += [("training", one, "") for one in (training if isinstance(training, list) else [])]
        return [(kind, str(name), str(text or "")) for kind, name, text in named if isinstance(name, str) and name]

    def picture(self, name: str) -> tuple[bytes, str] | None:
        """Content and media type of a picture that the result names, which lies beside or below its file."""
        folder = Path(ROOT, self.source).resolve().parent
        path = (folder / name).resolve()
        named = any(name == one for _, one, _ in self.pictures())
        if not named or path.suffix.lower() not in PICTURES or not path.is_relative_to(folder) or not path.is_file():
            return None
        return path.read_bytes(), PICTURES[path.suffix.lower()]


def is_thumbnail(value: Any) -> bool:
    """Whether a result's text is a picture in itself, and nothing else that an address could be."""
    return isinstance(value, str) and value.startswith("data:image/png;base64,")


def runs_of_row(row: pandas.Series | dict[str, Any]) -> list[RunFile]:
    """The runs of a row of the experiments, in the order of their seeds."""
    return [_read(source, seed) for source, seed in row["runs"]]


@functools.lru_cache(maxsize=64)
def _read(source: str, seed: int | None) -> RunFile:
    try:
        return RunFile(source, seed, read_object(Path(ROOT, source)))
    except UnreadableError as error:  # it was readable when the page started
        return RunFile(source, seed, {}, f"{source}: {error}")


forget = _read.cache_clear  # files may have changed


def task_defaults(task: str, root: Path = ROOT) -> dict[str, Any] | None:
    """The default of every parameter of a task, under dotted names; None where the checkout does not know the task."""
    known = {path.parent.name: path for path in (root / CONTENT).glob("*/default_training_params.json")}
    if task not in known:
        return None
    try:
        own = flat(read_json(known[task]))
    except UserError:
        return None
    return _defaults(TrainingParams) | _defaults(GenerationKwargs, "generation_kwargs.") | own


def _defaults(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    return {prefix + name: one.default for name, one in model.model_fields.items() if not one.is_required()}


def differences(sides: list[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Settings in which the sides differ, with each side's value, ABSENT where it has none; sorted by name."""
    rows = [(key, [side.get(key, ABSENT) for side in sides]) for key in sorted(set().union(*sides))]
    return [(key, values) for key, values in rows if any(value != values[0] for value in values[1:])]


def setting(value: Any) -> str:
    """One value of a configuration as its file would spell it; null is a dash."""
    if value is ABSENT:
        return "not set"
    if value is None:
        return MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
