"""The order of the experiments that meet every need, by what matters most, and which cannot be told from the first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy
import pandas

from harness.dashboard.constraints import SHARED, overhead
from harness.dashboard.estimates import ratio
from harness.dashboard.needs import PRIORITIES, Needs
from harness.result.columns import COLUMNS, format_value
from harness.result.ties import BEST, Entry, compare_with_best

_KEYS = {
    "quality": "score",
    "memory": "memory_train",
    "speed": "train_tokens_per_second",
    "storage": "storage",
}


class Runs:
    """The runs behind rows of the frame of experiments, found quickly; only what constraints and ties look at."""

    _KEPT = ("seed", "score", "memory_train", "train_tokens_per_second", "overhead_merged", "overhead_unmerged")

    def __init__(self, runs: pandas.DataFrame) -> None:
        self._places = {source: place for place, source in enumerate(runs["source"])}
        self._columns = {key: runs[key].to_numpy() for key in (*self._KEPT, "item_scores")}

    def of(self, row: pandas.Series) -> Mapping[str, numpy.ndarray]:
        """Values by column, in the order of the seeds."""
        places = [self._places[source] for source, _ in row["runs"]]
        return {key: values[places] for key, values in self._columns.items()}


@dataclass(frozen=True)
class Entrant:
    """A row of the frame of experiments, the runs that it is made of, and the sentences of the needs it meets."""

    row: pandas.Series
    runs: Mapping[str, numpy.ndarray]
    reasons: tuple[str, ...]


def deciding(row: pandas.Series, needs: Needs) -> tuple[str, float]:
    """Column and value of what matters most."""
    if needs.priority == "answers":
        return overhead(row, needs)
    key = _KEYS[needs.priority]
    return key, float(row[key])


def missing(row: pandas.Series, needs: Needs) -> list[str]:
    """What is missing to place the experiment; quality of random weights is not expected."""
    if row["differs"]:
        return [f"not ranked: its seeds differ in {row['differs']}, they are not one experiment"]
    if needs.priority in ("speed", "answers") and row["shared_device"]:
        return [SHARED]
    if math.isnan(deciding(row, needs)[1]) and not (row["profile"] and needs.priority == "quality"):
        return [f"not measured: {PRIORITIES[needs.priority]}"]
    return []


def figure(row: pandas.Series, needs: Needs) -> str:
    """The deciding figure with its interval or the number of runs, for people."""
    key, value = deciding(row, needs)
    shown = format_value(COLUMNS[key], value)
    if needs.priority == "quality":
        if math.isnan(row["score_low"]):
            how = row["interval"] if row["interval"].startswith("no interval") else "no interval computed"
            return f"{shown}, {how}"
        bounds = " to ".join(format_value(COLUMNS["score"], row[end]) for end in ("score_low", "score_high"))
        return f"{shown}, 95 % interval {bounds} ({row['interval']})"
    runs = "one run" if row["seeds"] == 1 else f"median of {row['seeds']} runs"
    return f"{COLUMNS[key].label} {shown}, {runs}"


def in_order(entrants: list[Entrant], needs: Needs) -> list[Entrant]:
    """Best first, equal ones by name; random weights, which have no quality, by memory instead of it."""

    def place(entrant: Entrant) -> tuple[float, str]:
        key, value = deciding(entrant.row, needs)
        if math.isnan(value):
            key, value = "memory_train", float(entrant.row["memory_train"])
        higher = bool(entrant.row["higher_is_better"]) if key == "score" else COLUMNS[key].better == "higher"
        return (math.inf if math.isnan(value) else -value if higher else value), entrant.row["experiment"]

    return sorted(entrants, key=place)


def ties_with_best(ordered: list[Entrant], needs: Needs) -> list[tuple[bool | None, str]]:
    """For each, best first, whether it is distinguishable from the best, None where that cannot be told, and why."""
    if not ordered:
        return []
    first = "the only one left" if len(ordered) == 1 else "best of those that meet your needs"
    tied = (
        _by_score(ordered) if needs.priority == "quality" else [_by_figure(ordered[0], one, needs) for one in ordered]
    )
    return [(None, first), *tied[1:]]


def _by_score(ordered: list[Entrant]) -> list[tuple[bool | None, str]]:
    entries = [
        Entry(
            one.row["experiment"],
            one.runs["seed"],
            one.runs["score"],
            list(one.runs["item_scores"]),
        )
        for one in ordered
    ]
    found: list[tuple[bool | None, str]] = []
    for one, (tied, why) in zip(
        ordered, compare_with_best(entries, bool(ordered[0].row["higher_is_better"])), strict=True
    ):
        if why == BEST:
            found.append((True, "the same score as the best"))
        elif tied:
            found.append((True, f"not distinguishable from the best with {_seeds(one, ordered[0])}: {why}"))
        else:
            found.append((None if why.startswith("not tested") else False, why))
    return found


def _by_figure(best: Entrant, other: Entrant, needs: Needs) -> tuple[bool | None, str]:
    """Storage is a fact; times and memory differ between runs."""
    key = deciding(other.row, needs)[0]
    if key == "storage":
        equal = float(other.row[key]) == float(best.row[key])
        return equal, "stores as much as the best" if equal else "stores more than the best"
    values = [_positive(one.runs[deciding(one.row, needs)[0]]) for one in (other, best)]
    if min(map(len, values)) < 2:
        return None, "one run: nothing tells how much runs differ"
    found = ratio(*values, unit="runs")
    text = f"{COLUMNS[key].label} over the best's: {found.as_ratio()}"
    if found.low <= 1 <= found.high:
        return True, f"not distinguishable from the best with {_seeds(other, best)}: {text}"
    return False, text


def _positive(values: numpy.ndarray) -> list[float]:
    return [float(value) for value in values if value > 0]  # which no missing one is


def _seeds(one: Entrant, other: Entrant) -> str:
    counts = sorted({len(entrant.runs["seed"]) for entrant in (one, other)})
    return "one seed" if counts == [1] else f"{' and '.join(map(str, counts))} seeds"
