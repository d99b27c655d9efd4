"""The mean over all subsets of a task, for experiments that have a seed on every one of them.

The spread is over seeds, of each seed's mean over subsets; harness/result/subsets.py says which seeds count. Nothing
is taken together across machines or protocols.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas

from harness.dashboard.markup import MISSING, Safe, breakable, details, table, tag
from harness.result.comparable import COSTS
from harness.result.subsets import mean_over_subsets
from harness.result.uncertainty import Interval, seed_interval

# What the subsets of one mean share: all that decides comparability but what the subsets themselves are.
_ALIKE = [key for key in COSTS if key not in ("subset", "data")]
HELP = (
    "Of the experiments in the table, in %: each subset’s mean over the seeds that every subset has, "
    "the mean of these, and its 95 % interval over seeds."
)


@dataclass(frozen=True)
class SubsetRow:
    """One experiment: its mean score on each subset, in their order, and the mean of these with its interval."""

    experiment: str
    by_subset: tuple[float, ...]
    mean: Interval


def subset_rows(rows: pandas.DataFrame, scores: Mapping[str, float]) -> tuple[list[str], list[SubsetRow], int]:
    """The subsets, the experiments that can be taken together, best first, and how many cannot.

    Args:
        rows: ranked rows of the frame of experiments, comparable but for their subsets.
        scores: each run's, by the path of its file.
    """
    subsets = sorted(rows["subset"].unique())
    found = []
    by_name = rows.groupby("experiment", sort=True)
    for name, part in by_name:
        by_subset: dict[str, dict[float, float]] = {subset: {} for subset in subsets}
        for row in part.itertuples():
            by_subset[row.subset] |= {seed: scores[source] for source, seed in row.runs}
        mean = mean_over_subsets(by_subset)
        if mean is not None:
            values = tuple(mean.by_subset.values())
            found.append(SubsetRow(str(name), values, seed_interval(list(mean.by_seed.values()))))
    sign = -1 if len(rows) and rows["higher_is_better"].iloc[0] else 1
    found.sort(key=lambda one: sign * one.mean.estimate)
    return subsets, found, len(by_name) - len(found)


def all_subsets(experiments: pandas.DataFrame, runs: pandas.DataFrame, shown: pandas.DataFrame) -> Safe:
    """A table for each hardware and protocol of the rows that are shown; empty where the task has one subset only.

    Args:
        experiments: all rows.
        runs: all runs.
        shown: rows of one subset and base model, of which one may be chosen; filters have been applied to them.
    """
    shown = shown[shown["ranked"] & (shown["subset"] != "")]
    parts = []
    for _, part in shown.groupby([*_ALIKE]):
        first = part.iloc[0]
        same = experiments["ranked"] & (experiments["subset"] != "")
        for key in _ALIKE:
            same &= experiments[key] == first[key]
        rows = experiments[same]
        everywhere = sorted(rows["subset"].unique())
        rows = rows[rows["experiment"].isin(part["experiment"])]
        sources = {source for files in rows["runs"] for source, _ in files}
        taken = runs[runs["source"].isin(sources)]
        subsets, found, lacking = subset_rows(rows, dict(zip(taken["source"], taken["score"], strict=True)))
        if len(everywhere) > 1 and subsets == everywhere and found:
            caption = f"{first['task']}, {first['model']}, {first['hardware']}, protocol {first['protocol']}"
            parts.append(_table(caption, subsets, found, lacking))
    return details("All subsets: mean over subsets", tag("p", HELP, class_="help"), *parts) if parts else Safe("")


def _table(caption: str, subsets: Sequence[str], found: Sequence[SubsetRow], lacking: int) -> Safe:
    body = [
        [breakable(one.experiment), *map(_percent, one.by_subset), tag("b", _percent(one.mean.estimate)), _bounds(one)]
        for one in found
    ]
    if lacking:
        caption += f"; left out: {lacking} without a seed that every subset has"
    return table(["Experiment", *subsets, "Mean", "Interval"], body, caption=caption)


def _percent(score: float) -> str:
    return f"{100 * score:.1f}"


def _bounds(one: SubsetRow) -> str:
    if one.mean.low is None or one.mean.high is None:
        return "one seed" if one.mean.n == 1 else MISSING
    return f"{_percent(one.mean.low)} – {_percent(one.mean.high)} ({one.mean.n} seeds)"
