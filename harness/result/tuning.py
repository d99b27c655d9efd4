"""How an experiment's hyper-parameter was chosen: tuning.json in its folder, written by `suite.py tune`.

A comparison of methods is as fair as their tuning, so budgets stand beside scores. An experiment is tuned where its
folder has the value that its record chose; without a record, or with another value, it is untuned.
"""

import statistics
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UserError
from harness.experiment import CONTENT, all_experiments
from harness.files import ROOT, named, read_json

FILE = "tuning.json"
Value = float | int | bool | str | None
RATE = "optimizer_kwargs.lr"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Trial(_Record):
    """One run of the grid: its score on valid after the last step, null where it did not succeed."""

    value: Value
    subset: str | None = None
    seed: int
    status: Literal["success", "cancelled", "out_of_memory", "diverged", "failed"]
    score: float | None = Field(ge=0, le=1)


class Tuning(_Record):
    """The grid of one key, and what it was chosen by."""

    protocol: int
    key: str = Field(description="of the parameters, dotted")
    values: list[Value]
    chosen: Value = Field(description="the best mean score; of equal ones the first")
    metric: str
    higher_is_better: bool
    subsets: list[str | None] = Field(description="[null] for a task without any")
    seeds: list[int]
    steps: int | None = Field(description="optimizer steps of a trial; null where they are counted in epochs")
    valid_rows: dict[str, int] = Field(description='by subset, "" for a task without any; test was not looked at')
    trials: list[Trial]
    settings: str = Field(description="fingerprint of all parameters and the adapter config but the tuned key")
    hardware: list[str] = Field(description="slugs")
    versions: dict[str, str]
    harness_commit: str | None
    created_at: str = Field(description="ISO 8601, UTC")

    def mean(self, value: Value) -> float | None:
        """Of the trials with this value: over seeds, then over subsets; None where one of them has no score."""
        by_subset = [[one.score for one in self.trials if (one.value, one.subset) == (value, subset)]
                     for subset in self.subsets]  # fmt: skip
        if any(not scores or None in scores for scores in by_subset):
            return None
        return statistics.fmean(map(statistics.fmean, by_subset))

    def best(self) -> Value:
        """The value with the best mean.

        Raises:
            UserError: none has one.
        """
        return best(self.values, [self.mean(value) for value in self.values], self.higher_is_better)

    @property
    def budget(self) -> str:
        """'best of 4 rates, 1 seed'."""
        what = "rates" if self.key == RATE else f"values of {self.key}"
        return f"best of {len(self.values)} {what}, {len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}"


def best(values: Sequence[Value], means: Sequence[float | None], higher_is_better: bool) -> Value:
    """The value with the best mean.

    Raises:
        UserError: none has one.
    """
    known = [(mean if higher_is_better else -mean, -place) for place, mean in enumerate(means) if mean is not None]
    if not known:
        raise UserError("no value has a score: every one of them has a failed trial; see the logs in runs/suite")
    return values[-max(known)[1]]


def read_tuning(folder: Path) -> Tuning | None:
    """The record in an experiment's folder; None where it has none.

    Raises:
        UserError: the file is no such record.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Tuning.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{named(path)}: {place}: {first['msg']}; make it with suite.py tune") from None


def value_of(params: dict[str, Any], key: str) -> Any:
    """What nested parameters have under a dotted key; None where they have nothing."""
    found: Any = params
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


UNTUNED = "untuned"


def budget_of(task: str, experiment: str, params: dict[str, Any], root: Path = ROOT) -> str:
    """The budget of a run as pages and tables show it: 'best of 4 rates, 1 seed', else 'untuned'.

    A run with another value than its experiment's record chose is untuned. Empty where the checkout has no such
    experiment, so that nobody can tell.

    Args:
        task: name of its task.
        experiment: <method>/<name>.
        params: the training parameters that the run had.
        root: the checkout.
    """
    folder = root / CONTENT / task / "experiments" / experiment
    if folder not in _folders(root):
        return ""
    record = _readable(folder)
    return record.budget if record is not None and value_of(params, record.key) == record.chosen else UNTUNED


@cache
def _readable(folder: Path) -> Tuning | None:
    """Its record, if that can be read: what is wrong with a folder is said where it is run or checked."""
    try:
        return read_tuning(folder)
    except UserError:
        return None


@cache
def _folders(root: Path) -> frozenset[Path]:
    return frozenset(all_experiments(root))


def unequal_budgets(budgets: Iterable[str]) -> str:
    """A warning where compared experiments had different budgets; empty where they had the same, or nobody knows."""
    distinct = sorted({budget for budget in budgets if budget})
    return f"unequal tuning budgets: {'; '.join(distinct)}" if len(distinct) > 1 else ""


def rates_table(records: Sequence[tuple[str, Tuning]]) -> str:
    """Markdown of what was tried: each value with its mean score on valid in %, the chosen one in bold."""
    lines = ["| experiment | key | tried | trials |", "|---|---|---|---|"]
    for name, record in records:
        tried = []
        for value in record.values:
            mean = record.mean(value)
            text = f"{value:g}" if isinstance(value, float) else f"{value}"
            text = f"{text}: {'failed' if mean is None else f'{100 * mean:.1f}'}"
            tried.append(f"**{text}**" if value == record.chosen else text)
        lines.append(f"| {name} | {record.key} | {', '.join(tried)} | {record.budget} |")
    return "\n".join(lines)


def tunings_of(task: str, pattern: str = "", root: Path = ROOT) -> list[tuple[str, Tuning]]:
    """The records of a task by experiment, sorted by name.

    Raises:
        UserError: one of them is no such record.
    """
    found = (
        (path.parent, read_tuning(path.parent)) for path in (root / CONTENT / task).glob(f"experiments/*/*/{FILE}")
    )
    names = ((f"{folder.parent.name}/{folder.name}", record) for folder, record in found)
    return sorted(((name, record) for name, record in names if pattern in name), key=lambda pair: pair[0])
