"""Records as a pandas frame: one row per run.

Its columns are the values of a record (harness/result/records.py) and
    foreign           another harness wrote it
    ranked            a successful, unmodified run with a score
    score_group       rows that share it have comparable scores, no others (harness/result/comparable.py)
    cost_group        rows that share it have comparable costs as well
"""

from collections.abc import Sequence
from typing import Any

import numpy
import pandas

from harness.result.columns import COLUMNS, NUMBERS, TEXTS
from harness.result.comparable import FOREIGN, Group, Record, group_of, unranked

_NUMBERS = (*(key for key in NUMBERS if COLUMNS[key].over != "seeds"), "seed", "created_at", "items")
_FLAGS = ("profile", "modified", "shared_device", "higher_is_better", "direction_known", "share")
_OBJECTS = ("settings", "overrides", "item_scores")


def to_frame(records: Sequence[Record]) -> pandas.DataFrame:
    """The frame of records; the columns are there without records, too."""
    columns: dict[str, Any] = {}
    for key in (*TEXTS, "metric", "model_version", "data"):
        columns[key] = pandas.Series([record[key] for record in records], dtype="str")
    for key in _NUMBERS:
        columns[key] = numpy.array([record[key] for record in records], dtype=float)
    for key in _FLAGS:
        columns[key] = numpy.array([record[key] for record in records], dtype=bool)
    for key in _OBJECTS:
        columns[key] = _objects([record[key] for record in records])
    columns["foreign"] = numpy.array([record["protocol"] == FOREIGN for record in records], dtype=bool)
    columns["ranked"] = numpy.array([not unranked(record) for record in records], dtype=bool)
    for group in ("score_group", "cost_group"):
        columns[group] = pandas.Series(_names(records, group), dtype="str")
    return pandas.DataFrame(columns)


def _names(records: Sequence[Record], group: Group) -> list[str]:
    """Of each record its group by a name that people can read: 'Task · subset · 1 · embedded/t5 · …'."""
    names: dict[tuple, str] = {}
    for record in records:
        key = group_of(record, group)
        if key not in names:
            names[key] = " · ".join(str(part) for part in key if part not in ("", True, False))
    taken: dict[str, int] = {}
    for key, name in names.items():  # two groups may differ in what has no name
        taken[name] = taken.get(name, 0) + 1
        names[key] = name if taken[name] == 1 else f"{name} · {taken[name]}"
    return [names[group_of(record, group)] for record in records]


def _objects(values: list[Any]) -> numpy.ndarray:
    array = numpy.empty(len(values), dtype=object)
    for position, value in enumerate(values):  # at once, arrays of one length would become a matrix
        array[position] = value
    return array
