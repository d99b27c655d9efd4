"""What one experiment's files say beyond their row: configuration against the defaults, logs, samples, provenance."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from pydantic import BaseModel

from harness.errors import UserError
from harness.experiment import CONTENT, ROOT, read_json
from harness.params import GenerationKwargs, TrainingParams
from harness.result.files import UnreadableError, read_object

LONGEST_LOG = 5000  # lines of a training log that are drawn
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

    def part(self, *path: str) -> dict[str, Any]:
        """A nested object; empty where it is missing or none."""
        value = self.value(*path)
        return value if isinstance(value, dict) else {}

    def rows(self, *path: str) -> list[dict[str, Any]]:
        """A nested list of objects; what is no object is left out."""
        value = self.value(*path)
        return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

    def value(self, *path: str) -> Any:
        """What lies under nested keys; None where it is missing."""
        value: Any = self.content
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def runs_of_row(row: pandas.Series) -> list[RunFile]:
    """The runs of a row of the experiments, in the order of their seeds."""
    return [_read(source, seed) for source, seed in row["runs"]]


@functools.lru_cache(maxsize=64)
def _read(source: str, seed: int | None) -> RunFile:
    try:
        return RunFile(source, seed, read_object(Path(ROOT, source)))
    except UnreadableError as error:  # it was readable when the page started
        return RunFile(source, seed, {}, f"{source}: {error}")


def forget() -> None:
    """Files may have changed: they are read again."""
    _read.cache_clear()


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names; an empty object is a value."""
    if not isinstance(values, dict) or not values:
        return {prefix: values} if prefix else {}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


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
    fields = model.model_fields.items()
    return {prefix + name: field.default for name, field in fields if not field.is_required()}


def differences(sides: list[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Settings in which the sides differ, with each side's value, ABSENT where it has none; sorted by name."""
    keys = sorted(set().union(*sides))
    rows = [(key, [side.get(key, ABSENT) for side in sides]) for key in keys]
    return [(key, values) for key, values in rows if any(value != values[0] for value in values[1:])]


def training_log(run: RunFile) -> list[dict[str, Any]]:
    """The lines of the log; `valid` is the validation score under either of its names."""
    lines = run.rows("train_info", "metrics")[:LONGEST_LOG]
    return [line | {"valid": _first(line, "valid score", "valid accuracy")} for line in lines]


def _first(line: dict[str, Any], *keys: str) -> Any:
    return next((line[key] for key in keys if line.get(key) is not None), None)
