"""The frame of runs: one row per result file.

Beside the columns of harness/dashboard/columns.py (those over seeds are missing here):
    seed              number, NaN where the file says none
    profile           random weights: speed and memory only
    modified          parameters were overridden on the command line
    foreign           another harness wrote it
    shared_device     another process used the same GPU
    ranked            a successful, unmodified run with a score
    metric, higher_is_better, created_at (seconds since 1970), versions ("torch 2.13.0 peft 0.21.2 …")
    settings          bytes: canonical JSON {"train": …, "peft": …} without the seed
    data              what else must be equal for two scores to be of the same thing: data and base model version
    item_scores       array of the score of every test item, or None
    group             rows of one group may be ranked together, no others
"""

from typing import Any

import numpy
import pandas

from harness.dashboard.columns import NUMBERS, TEXTS
from harness.dashboard.fields import FOREIGN

# What makes two files the same run.
IDENTITY = ("task", "subset", "experiment", "hardware", "model", "protocol", "seed", "profile", "overrides")
# What rows must share to be ranked together.
GROUP = ("task", "subset", "model", "hardware", "protocol", "metric", "data", "profile")
OVER_SEEDS = ("score_low", "score_high", "score_std", "seeds")
_OBJECTS = ("settings", "overrides", "item_scores")


def to_frame(rows: list[dict[str, Any]]) -> pandas.DataFrame:
    """The frame of rows as `flatten` makes them, with `source`; the columns are there without rows, too."""
    _share_families(rows)
    columns: dict[str, Any] = {}
    for key in (*TEXTS, "metric", "versions", "data"):
        columns[key] = pandas.Series([row[key] for row in rows], dtype="str")
    for key in (*NUMBERS, "seed", "created_at"):
        if key not in OVER_SEEDS:
            columns[key] = numpy.array([row[key] for row in rows], dtype=float)
    for key in ("profile", "shared_device", "higher_is_better"):
        columns[key] = numpy.array([row[key] for row in rows], dtype=bool)
    for key in _OBJECTS:
        columns[key] = _objects([row[key] for row in rows])
    frame = pandas.DataFrame(columns)
    frame["modified"] = numpy.array([row["overrides"] != b"{}" for row in rows], dtype=bool)
    frame["foreign"] = (frame["protocol"] == FOREIGN).astype(bool)
    success = (frame["status"] == "success").astype(bool)
    frame["ranked"] = success & ~frame["profile"] & ~frame["modified"] & frame["score"].notna()
    frame["group"] = pandas.Series([_group(row) for row in rows], dtype="str")
    return frame


def _group(row: dict[str, Any]) -> str:
    """A name that people can read: 'Task/subset · embedded/t5 · cpu-x86-64 · protocol 1 · accuracy · …'."""
    task = "/".join(filter(None, (row["task"], row["subset"])))
    parts = (task, row["model"], row["hardware"], f"protocol {row['protocol']}", row["metric"], row["data"])
    return " · ".join([*parts, *(["profile"] if row["profile"] else [])])


def _share_families(rows: list[dict[str, Any]]) -> None:
    """A base model has the family that any of its runs tells."""
    families = {row["model"]: row["family"] for row in rows if row["family"]}
    for row in rows:
        row["family"] = row["family"] or families.get(row["model"], "")


def _objects(values: list[Any]) -> numpy.ndarray:
    array = numpy.empty(len(values), dtype=object)
    for position, value in enumerate(values):  # at once, arrays of one length would become a matrix
        array[position] = value
    return array
