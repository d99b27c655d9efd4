"""The mean over all subsets of a task, for experiments that have a seed on every one of them.

The spread is over seeds, of each seed's mean over subsets; harness/result/subsets.py says which seeds count. Nothing
is taken together across machines or protocols.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas

from harness.result.comparable import COSTS
from harness.result.subsets import mean_over_subsets
from harness.result.uncertainty import Interval, seed_interval

# What the subsets of one mean share: all that decides comparability but what the subsets themselves are.
_ALIKE = [key for key in COSTS if key not in ("subset", "data")]


@dataclass(frozen=True)
class Means:
    """Experiments that can be taken together, best first: name, score on each subset, mean; how many cannot."""

    title: str
    subsets: list[str]
    rows: list[tuple[str, list[float], Interval]]
    lacking: int


def all_subsets(experiments: pandas.DataFrame, runs: pandas.DataFrame, shown: pandas.DataFrame) -> list[Means]:
    """One for each hardware and protocol of the rows that are shown; none where the task has one subset only.

    Args:
        experiments: all rows.
        runs: all runs.
        shown: rows of one subset and base model, of which one may be chosen; filters have been applied to them.
    """
    shown = shown[shown["ranked"] & (shown["subset"] != "")]
    found = []
    for _, part in shown.groupby(_ALIKE):
        first = part.iloc[0]
        same = experiments["ranked"] & (experiments["subset"] != "")
        for key in _ALIKE:
            same &= experiments[key] == first[key]
        rows = experiments[same]
        subsets = sorted(rows["subset"].unique())
        rows = rows[rows["experiment"].isin(part["experiment"])]
        taken = runs[runs["source"].isin({source for files in rows["runs"] for source, _ in files})]
        title = f"{first['task']}, {first['model']}, {first['hardware']}, protocol {first['protocol']}"
        means = _means(title, subsets, rows, dict(zip(taken["source"], taken["score"], strict=True)))
        if len(subsets) > 1 and means.rows:
            found.append(means)
    return found


def _means(title: str, subsets: list[str], rows: pandas.DataFrame, scores: Mapping[str, float]) -> Means:
    found, by_name = [], rows.groupby("experiment", sort=True)
    for name, part in by_name:
        by_subset: dict[str, dict[float, float]] = {subset: {} for subset in subsets}
        for row in part.itertuples():
            by_subset[row.subset] |= {seed: scores[source] for source, seed in row.runs}
        mean = mean_over_subsets(by_subset)
        if mean is not None:
            found.append((str(name), list(mean.by_subset.values()), seed_interval(list(mean.by_seed.values()))))
    sign = -1 if len(rows) and rows["higher_is_better"].iloc[0] else 1
    found.sort(key=lambda one: sign * one[2].estimate)
    return Means(title, subsets, found, len(by_name) - len(found))
