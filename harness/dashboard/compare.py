"""The Compare page: two to four experiments of the selection side by side, and what statistics say of each pair."""

import itertools
from typing import Any, NamedTuple

import pandas

from harness.dashboard import files, plots
from harness.dashboard.data import column_of, column_of_row, labels
from harness.dashboard.files import ABSENT, runs_of_row, setting
from harness.dashboard.selection import Shown
from harness.dashboard.view import View
from harness.overlay import flat
from harness.result.columns import COLUMNS, METRICS, NUMBERS, TIMED, format_value
from harness.result.comparable import difference, group_for
from harness.result.compare import compare_runs
from harness.result.tuning import unequal_budgets
from harness.result.uncertainty import p_text

EMPTY = (ABSENT, None, False, {}, [])  # ways of saying that a setting does nothing
Sides = list[tuple[str, pandas.Series]]


class PairVerdict(NamedTuple):
    """Of A against B: which is better if any, the difference, what it means in words, and whether it was tested."""

    better: str
    figures: str
    words: str
    tested: bool


def context(view: View, shown: Shown, runs: pandas.DataFrame) -> dict[str, Any]:
    """What the page's template needs; no more than `names` where fewer than two experiments are chosen."""
    names = labels(shown.everything)
    rows = [row for row in map(shown.row, view.compare) if row is not None]
    if len(rows) < 2:
        return {"names": names, "sides": []}
    sides = [(f"{letter}  {names[row['key']]}", row) for letter, row in zip("ABCD", rows, strict=False)]
    pairs = [(one, two, verdict(one, two, runs)) for one, two in itertools.combinations(sides, 2)]
    return {
        "names": names, "sides": sides, "pairs": pairs, "figures": figures(sides), "help": _help(sides),
        "curves": plots.curves([(name, runs_of_row(row)[0]) for name, row in sides]),
        "memory": plots.memory([(name[0], row) for name, row in sides]), "settings": settings(sides),
        "uneven": unequal_budgets(row["budget"] for _, row in sides),
    }  # fmt: skip


def verdict(one: tuple[str, pandas.Series], two: tuple[str, pandas.Series], runs: pandas.DataFrame) -> PairVerdict:
    """Their test scores: methods by seeds, or where one has a single seed the two trained models by their items."""
    (name_a, a), (name_b, b) = one, two
    column = column_of_row(COLUMNS["score"], a)
    unit, scale = (" points", 100) if column.unit == "share" else ("", 1)
    reason = next((f"{row['experiment']} is {_unusable(row)}" for row in (a, b) if not row["ranked"]), "")
    reason = reason or difference(a, b)
    if reason:
        apart = a["score"] - b["score"]
        shown = "" if pandas.isna(apart) else f"{scale * apart:+.3g}{unit}"
        return PairVerdict("", shown, f"not tested: {reason}", False)
    members = [runs[runs["source"].isin([source for source, _ in row["runs"]])] for row in (a, b)]
    found, pair = compare_runs(*(one.sort_values("seed", kind="stable").to_dict("records") for one in members))
    shown = f"{scale * found.difference:+.3g}{unit}"
    if found.low is not None:
        shown += f", 95 % interval {scale * found.low:+.3g} to {scale * found.high:+.3g}"
    if found.p_value is None:
        return PairVerdict("", shown, f"not tested: {found.reason}", False)
    words = f"{p_text(found.p_value)}, {found.method} over {found.unit}"
    if pair is not None:
        seeds = " and ".join("unknown" if pandas.isna(one["seed"]) else f"{one['seed']:.0f}" for one in pair)
        words += f"; of these two trained models only (seeds {seeds}), not of their methods"
    words += "; on different hardware" if a["hardware"] != b["hardware"] else ""
    better = found.better(bool(a["higher_is_better"]))
    return PairVerdict({"A": name_a, "B": name_b}.get(better, ""), shown, words, True)


def _unusable(row: pandas.Series) -> str:
    if row["profile"]:
        return "a profile, which measures no quality"
    return "no successful, unmodified experiment with a score that can be ranked"


def _fair(sides: Sides) -> tuple[bool, bool, bool]:
    """Whether scores may be ranked, whether costs may be as well, and whether all are fit to be ranked at all."""
    alike = [len({row[group] for _, row in sides}) == 1 for group in ("score_group", "cost_group")]
    usable = all(row["status"] == "success" and not row["modified"] and not row["differs"] for _, row in sides)
    return alike[0], alike[1], usable


def figures(sides: Sides) -> list[tuple[Any, list[str], list[bool]]]:
    """Of every figure that one of them has: the column, the cells, and which of them are best of all that have it."""
    scores, costs, usable = _fair(sides)
    shared, rows = any(row["shared_device"] for _, row in sides), pandas.DataFrame([row for _, row in sides])
    found = []
    for key in NUMBERS:
        column, values = column_of(COLUMNS[key], rows), [row[key] for _, row in sides]
        if all(map(pandas.isna, values)) or key in ("score_low", "score_high"):
            continue
        cells = [
            "not measured" if pandas.isna(value) and key in METRICS else format_value(column, value)
            for value in values
        ]
        fair = (costs if group_for([key]) == "cost_group" else scores) and usable and not (shared and key in TIMED)
        known = not any(map(pandas.isna, values)) and len(set(values)) > 1
        marked = fair and known and column.better is not None and key != "score"
        best = max(values) if column.better == "higher" else min(values)
        found.append((column, cells, [marked and value == best for value in values]))
    return found


def _help(sides: Sides) -> str:
    scores, costs, usable = _fair(sides)
    if not scores:
        return "They differ in protocol, data or base model: figures are side by side, not to be ranked."
    text = "Bold: the best figure, without a test of whether the difference is real."
    if not usable:
        text = "Not all of them are successful, unmodified experiments: figures are side by side, not to be ranked."
    return text if costs else f"{text} They ran on different machines: memory, time and speed are not to be ranked."


def settings(sides: Sides) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """The settings in which they differ, of the adapter and of training."""
    runs, found = [runs_of_row(row)[0] for _, row in sides], []
    for title, part in (("Adapter", "peft_config"), ("Training parameters", "train_config")):
        rows = files.differences([flat(run.part("run_info", part)) for run in runs])
        rows = [(key, values) for key, values in rows if key != "seed" and any(value not in EMPTY for value in values)]
        found.append((title, [(key, list(map(setting, values))) for key, values in rows]))
    return found
