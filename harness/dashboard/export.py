"""CSV and JSON of exactly the rows and columns that are shown, in raw values: bytes, seconds, shares from 0 to 1."""

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import pandas

from harness.result.columns import COLUMNS

_WHOLE = ("bytes", "count")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


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
    rows = [dict(zip(columns, row, strict=True)) for row in _rows(frame, columns)]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(frame: pandas.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*([_raw(key, value) for value in frame[key]] for key in columns), strict=True))


def _raw(key: str, value: Any) -> Any:
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
