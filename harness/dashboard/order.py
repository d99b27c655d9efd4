"""The order of what meets a visitor's needs: by what matters most, and which are not distinguishable from the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas

from harness.dashboard.data import column_of_row
from harness.dashboard.estimates import ratio
from harness.dashboard.needs import SHARED, Needs, Row, Runs, overhead
from harness.dashboard.view import PRIORITIES
from harness.result.columns import COLUMNS, format_value
from harness.result.experiments import fill_intervals
from harness.result.intervals import MOST
from harness.result.ties import BEST, Entry, compare_with_best

KEYS = {"quality": "score", "memory": "memory_train", "speed": "train_tokens_per_second", "storage": "storage"}


@dataclass(frozen=True)
class Candidate:
    """A row of the frame of experiments with its reasons; `tied` None where nothing tells it from the best or not."""

    row: Row
    runs: Runs
    reasons: list[str]
    figure: str = ""
    rank: int | None = None
    tied: bool | None = None


def _deciding(row: Row, needs: Needs) -> tuple[str, float]:
    """Column and value of what matters most; quality of random weights is not there, their memory stands for it."""
    if needs.priority == "answers":
        return overhead(row, needs)
    key = "memory_train" if row["profile"] and needs.priority == "quality" else KEYS[needs.priority]
    return key, float(row[key])


def missing(row: Row, needs: Needs) -> list[str]:
    """What is missing to place the experiment."""
    if row["differs"]:
        return [f"not ranked: its seeds differ in {row['differs']}, they are not one experiment"]
    if needs.priority == "quality" and not row["direction_known"]:
        return [f"not ranked: nobody told whether a higher {row['metric']} is better"]
    if needs.priority in ("speed", "answers") and row["shared_device"]:
        return [SHARED]
    lacking = math.isnan(_deciding(row, needs)[1]) and not (row["profile"] and needs.priority == "quality")
    return [f"not measured: {PRIORITIES[needs.priority]}"] if lacking else []


def figure(row: Row, needs: Needs) -> str:
    """The deciding figure with its interval or the number of runs, for people."""
    key, value = _deciding(row, needs)
    if key == "score":
        column = column_of_row(COLUMNS["score"], row)
        shown = format_value(column, value)
        if math.isnan(row["score_low"]):
            return f"{shown}, {'no interval computed' if row['item_scores'] is not None else row['interval']}"
        low, high = (format_value(column, row[end]) for end in ("score_low", "score_high"))
        return f"{shown}, 95 % interval {low} to {high} ({row['interval']})"
    runs = "one run" if row["seeds"] == 1 else f"median of {row['seeds']} runs"
    return f"{COLUMNS[key].label} {format_value(COLUMNS[key], value)}, {runs}"


def in_order(entrants: list[Candidate], done: pandas.DataFrame, needs: Needs) -> list[Candidate]:
    """Best first, equal ones by name; profiles are listed by memory where quality matters most, not ranked."""

    def place(choice: Candidate) -> tuple[float, str]:
        key, value = _deciding(choice.row, needs)
        higher = bool(choice.row["higher_is_better"]) if key == "score" else COLUMNS[key].better == "higher"
        return (math.inf if math.isnan(value) else -value if higher else value), choice.row["experiment"]

    listed = sorted(entrants, key=place)
    filled = fill_intervals(done.loc[[one.row["place"] for one in listed[:MOST]]])
    unranked = needs.priority == "quality" and any(one.row["profile"] for one in listed)
    ties = [(None, "")] * len(listed) if unranked else _ties(listed, needs)
    kept = []
    for position, (one, (tied, why)) in enumerate(zip(listed, ties, strict=True), start=1):
        row = (
            one.row
            if position > MOST
            else one.row | dict(filled.loc[one.row["place"], ["score_low", "score_high", "interval"]])
        )
        reasons, rank = [*one.reasons, *([why] if why else [])], None if unranked else position
        kept.append(Candidate(row, one.runs, reasons, figure(row, needs), rank, tied))
    return kept


def _ties(listed: Sequence[Candidate], needs: Needs) -> list[tuple[bool | None, str]]:
    """For each, best first, whether it is distinguishable from the best, None where that cannot be told, and why."""
    if not listed:
        return []
    best, found = listed[0], []
    if needs.priority != "quality":
        found = [_tie_of_figure(best, one, needs) for one in listed]
    else:
        entries = [
            Entry(one.row["experiment"], one.runs["seed"], one.runs["score"], list(one.runs["item_scores"]))
            for one in listed
        ]
        for one, tie in zip(listed, compare_with_best(entries, bool(best.row["higher_is_better"])), strict=True):
            if tie.why == BEST:
                found.append((True, "the same score as the best"))
            elif tie.tied:
                found.append((True, f"not distinguishable from the best with {_seeds(one, best)}: {tie.why}"))
            else:
                found.append((False if tie.tested else None, tie.why))
    first = "the only one left" if len(listed) == 1 else "best of those that meet your needs"
    return [(None, first), *found[1:]]


def _tie_of_figure(best: Candidate, other: Candidate, needs: Needs) -> tuple[bool | None, str]:
    """Storage is a fact; times and memory differ between runs."""
    key = _deciding(other.row, needs)[0]
    if key == "storage":
        equal = float(other.row[key]) == float(best.row[key])
        return equal, "stores as much as the best" if equal else "stores more than the best"
    values = [[float(value) for value in one.runs[_deciding(one.row, needs)[0]] if value > 0] for one in (other, best)]
    if min(map(len, values)) < 2:
        return None, "one run: nothing tells how much runs differ"
    found = ratio(*values, unit="runs")
    text = f"{COLUMNS[key].label} over the best's: {found.text('times')}"
    if found.low <= 1 <= found.high:
        return True, f"not distinguishable from the best with {_seeds(other, best)}: {text}"
    return False, text


def _seeds(one: Candidate, other: Candidate) -> str:
    counts = sorted({len(choice.runs["seed"]) for choice in (one, other)})
    return "one seed" if counts == [1] else f"{' and '.join(map(str, counts))} seeds"
