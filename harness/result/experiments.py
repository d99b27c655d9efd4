"""The frame of experiments: one row per experiment, its seeds taken together, with intervals and ties with the best.

Beside the columns of harness/result/columns.py:
    tied              cannot be told from the best of its group, or is the best
    tie               why, in words (harness/result/ties.py)
    interval          what score_low and score_high are, in words
    differs           a setting in which the seeds differ, which therefore are not one experiment; empty as a rule
    runs              list of (path of the file, seed or None), in the order of the seeds
    item_scores       of the one seed where there is only one, else None
and score_group, cost_group, ranked, profile, modified, foreign, shared_device, metric, higher_is_better, versions,
model_version, data, settings and created_at as in harness/result/frame.py. Rows of one score_group may be ranked
together, and only those with `ranked`.
"""

from typing import Any

import numpy
import pandas

from harness.result.columns import TEXTS, of_seeds
from harness.result.comparable import differing_setting
from harness.result.intervals import fill_intervals, interval_of
from harness.result.ties import Entry, compare_with_best

__all__ = ["by_experiment", "fill_intervals"]

# Runs that share these are one row: of one machine, so that their costs can be taken together.
KEY = ["cost_group", "experiment", "status", "ranked", "overrides"]
_SHARED = [*TEXTS, "score_group", "cost_group", "metric", "model_version", "data", "higher_is_better", "profile"]
_SHARED += ["modified", "foreign", "ranked", "direction_known", "share"]


def by_experiment(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Means and medians over seeds, as the columns have it, and what statistics say of the scores.

    Bootstrap intervals, of graded scores with one seed, take a tenth of a second each: they are left out here, and
    `fill_intervals` adds them to the rows that are shown.
    """
    runs = runs.sort_values("seed", kind="stable", ignore_index=True)
    codes = runs.groupby(KEY, sort=False, dropna=False).ngroup().to_numpy()
    grouped = runs.groupby(codes, sort=True)
    means, medians = grouped[of_seeds("mean")].mean(), grouped[of_seeds("median")].median()
    frame = pandas.concat([grouped[_SHARED].first(), means, medians], axis=1)
    frame["score_std"] = grouped["score"].std()
    frame["seeds"] = grouped.size().astype(int)
    frame["shared_device"] = grouped["shared_device"].any()
    frame["created_at"] = grouped["created_at"].max()
    _add_members(frame, runs, codes)
    _add_ties(frame)
    frame = frame.drop(columns="_entry")
    goodness = frame["score"].where(frame["higher_is_better"], -frame["score"])
    order = pandas.DataFrame({"group": frame["score_group"], "last": ~frame["ranked"], "bad": -goodness})
    order = order.assign(name=frame["experiment"]).sort_values(["group", "last", "bad", "name"])
    return frame.loc[order.index].reset_index(drop=True)


def _add_members(frame: pandas.DataFrame, runs: pandas.DataFrame, codes: numpy.ndarray) -> None:
    """What is made of the single runs: intervals, the list of files, versions, settings."""
    order = numpy.argsort(codes, kind="stable")
    members = numpy.split(order, numpy.flatnonzero(numpy.diff(codes[order])) + 1) if len(order) else []
    keys = ("source", "seed", "score", "item_scores", "settings", "versions", "items")
    values = [runs[key].to_numpy(dtype=None if key == "score" else object) for key in keys]
    rows = [
        _members(name, ranked, *(column[positions] for column in values))
        for positions, name, ranked in zip(members, frame["experiment"], frame["ranked"], strict=True)
    ]
    for key in ("score_low", "score_high"):
        frame[key] = numpy.array([row[key] for row in rows], dtype=float)
    for key in ("interval", "differs", "versions"):
        frame[key] = pandas.Series([row[key] for row in rows], index=frame.index, dtype="str")
    for key in ("runs", "item_scores", "settings", "_entry"):
        frame[key] = pandas.Series([row[key] for row in rows], index=frame.index, dtype=object)
    frame["ranked"] &= (frame["differs"] == "").astype(bool)


def _members(
    name: str,
    ranked: bool,
    sources: numpy.ndarray,
    seeds: numpy.ndarray,
    scores: numpy.ndarray,
    items: numpy.ndarray,
    settings: numpy.ndarray,
    versions: numpy.ndarray,
    counts: numpy.ndarray,
) -> dict[str, Any]:
    """The values of one experiment, from arrays with an element for each of its runs."""
    differs = differing_setting(settings)
    alone = items[0] if len(items) == 1 else None
    low, high, interval = interval_of(scores, alone, differs, counts[0]) if ranked else (numpy.nan, numpy.nan, "")
    whole = [int(seed) if seed == seed else None for seed in seeds]  # NaN, unknown, differs from itself
    return {
        "score_low": low,
        "score_high": high,
        "interval": interval,
        "differs": differs,
        "versions": " or ".join(dict.fromkeys(versions)),
        "runs": list(zip(sources, whole, strict=True)),
        "item_scores": alone,
        "settings": settings[-1],
        "_entry": Entry(name, seeds, scores, items),
    }


def _add_ties(frame: pandas.DataFrame) -> None:
    tied, tie = numpy.zeros(len(frame), dtype=bool), numpy.full(len(frame), "", dtype=object)
    ranked = frame["ranked"].to_numpy()
    entries, higher = frame["_entry"].to_numpy(), frame["higher_is_better"].to_numpy()
    for positions in frame.groupby("score_group", sort=False).indices.values():
        rows = [position for position in positions if ranked[position]]
        if not rows:
            continue
        verdicts = compare_with_best([entries[row] for row in rows], bool(higher[rows[0]]))
        for row, (is_tied, why, _) in zip(rows, verdicts, strict=True):
            tied[row], tie[row] = is_tied, why
    frame["tied"] = tied
    frame["tie"] = pandas.Series(tie, index=frame.index, dtype="str")
