"""CSV and JSON of exactly the rows, columns and order that are shown, in raw values: bytes, seconds, shares.

Where a cell of the table says more than its column's value, that comes as columns of its own: the score's interval and
seeds, and what tells rows of one name apart.
"""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any

import pandas

from harness.dashboard.results import shown_columns
from harness.dashboard.view import View
from harness.result.columns import COLUMNS

# What the table's first cell says: of these where rows differ, and of those where one is not as usual.
APART, USUAL = ("hardware", "protocol"), {"status": "success", "modified": False}
_WHOLE = ("bytes", "count")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def file_name(view: View, kind: str) -> str:
    """'<Task>--Llama-3.2-3B.csv'."""
    parts = [
        re.sub(r"[^A-Za-z0-9_.-]+", "-", part).strip("-.")[:80] for part in (view.task, view.model.split("/")[-1])
    ]
    return f"{'--'.join(filter(None, parts)) or 'results'}.{kind}"


def saved_columns(rows: pandas.DataFrame, view: View) -> list[str]:
    """Keys of the file's columns, in the table's order."""
    found: list[str] = []
    for key in shown_columns(view, rows):
        found.append(key)
        if key == "experiment":
            found += [apart for apart in APART if rows[apart].nunique() > 1]
            found += [unusual for unusual, usual in USUAL.items() if (rows[unusual] != usual).any()]
        if key == "score":
            found += ["score_low", "score_high", "seeds"]
    return list(dict.fromkeys(found))


def to_csv(frame: pandas.DataFrame, columns: Sequence[str]) -> str:
    """A line of keys, then a line per row, as RFC 4180 has them; missing is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which spreadsheets hide; so does
    one that begins with an apostrophe, so that taking one away restores every text.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_as_text(key) for key in columns])
    for row in _rows(frame, columns):
        writer.writerow(["" if value is None else _as_text(value) for value in row])
    return out.getvalue()


def to_json(frame: pandas.DataFrame, columns: Sequence[str]) -> str:
    """A list of one object per row; missing is null."""
    return json.dumps(rows_of(frame, columns), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def rows_of(frame: pandas.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """One object per row, of plain values; missing is None."""
    return [dict(zip(columns, row, strict=True)) for row in _rows(frame, columns)]


def _rows(frame: pandas.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*([raw(key, value) for value in frame[key]] for key in columns), strict=True))


def raw(key: str, value: Any) -> Any:
    """Whole numbers as integers; None where it is missing."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str):
        return str(value)
    value = value.item() if hasattr(value, "item") else value
    whole = isinstance(value, float) and key in COLUMNS and COLUMNS[key].unit in _WHOLE and value.is_integer()
    return int(value) if whole else value


def _as_text(value: Any) -> Any:
    if isinstance(value, str) and value.startswith((*_FORMULA, "'")):
        return f"'{value}"
    return value
