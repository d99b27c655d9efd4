"""The mean over all subsets of a task, for experiments that have the same seeds on every one of them.

The spread is over seeds, of each seed's mean over subsets. An experiment that lacks a subset, or a seed on one, has no
mean: it would be a mean of something else. Nothing is taken together across hardware or protocols.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas

from harness.dashboard.markup import MISSING, Safe, breakable, details, table, tag
from harness.result.uncertainty import Interval, seed_interval

HELP = (
    "Of the experiments in the table, those with the same seeds on every subset, in %: each subset’s mean over seeds, "
    "the mean of these, and its 95 % interval over seeds."
)


@dataclass(frozen=True)
class SubsetMean:
    """One experiment: its mean score on each subset, in their order, and the mean of these with its interval."""

    experiment: str
    by_subset: tuple[float, ...]
    mean: Interval


def subset_means(rows: pandas.DataFrame, scores: Mapping[str, float]) -> tuple[list[str], list[SubsetMean], int]:
    """The subsets, the experiments that can be taken together, best first, and how many cannot.

    Args:
        rows: ranked rows of the frame of experiments, of one task, model, hardware and protocol.
        scores: each run's, by the path of its file.
    """
    subsets = sorted(rows["subset"].unique())
    found = []
    by_name = rows.groupby("experiment", sort=True)
    for name, part in by_name:
        by_seed = [{seed: scores[source] for source, seed in runs} for runs in part.sort_values("subset")["runs"]]
        if sorted(part["subset"]) == subsets and all(one.keys() == by_seed[0].keys() for one in by_seed):
            means = tuple(sum(one.values()) / len(one) for one in by_seed)
            per_seed = [sum(one[seed] for one in by_seed) / len(by_seed) for seed in by_seed[0]]
            found.append(SubsetMean(str(name), means, seed_interval(per_seed)))
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
    for (task, model, hardware, protocol, metric), part in shown.groupby(
        ["task", "model", "hardware", "protocol", "metric"]
    ):
        same = (experiments["task"] == task) & (experiments["model"] == model) & (experiments["hardware"] == hardware)
        same &= (experiments["protocol"] == protocol) & (experiments["metric"] == metric) & experiments["ranked"]
        rows = experiments[same & (experiments["subset"] != "")]
        everywhere = sorted(rows["subset"].unique())
        rows = rows[rows["experiment"].isin(part["experiment"])]
        sources = {source for files in rows["runs"] for source, _ in files}
        taken = runs[runs["source"].isin(sources)]
        subsets, found, lacking = subset_means(rows, dict(zip(taken["source"], taken["score"], strict=True)))
        if len(everywhere) > 1 and subsets == everywhere and found:
            parts.append(_table(f"{task}, {model}, {hardware}, protocol {protocol}", subsets, found, lacking))
    return details("All subsets: mean over subsets", tag("p", HELP, class_="help"), *parts) if parts else Safe("")


def _table(caption: str, subsets: Sequence[str], found: Sequence[SubsetMean], lacking: int) -> Safe:
    body = [
        [breakable(one.experiment), *map(_percent, one.by_subset), tag("b", _percent(one.mean.estimate)), _bounds(one)]
        for one in found
    ]
    if lacking:
        caption += f"; left out: {lacking} without the same seeds on every subset"
    return table(["Experiment", *subsets, "Mean", "Interval"], body, caption=caption)


def _percent(score: float) -> str:
    return f"{100 * score:.1f}"


def _bounds(one: SubsetMean) -> str:
    if one.mean.low is None or one.mean.high is None:
        return "one seed" if one.mean.n == 1 else MISSING
    return f"{_percent(one.mean.low)} – {_percent(one.mean.high)} ({one.mean.n} seeds)"
