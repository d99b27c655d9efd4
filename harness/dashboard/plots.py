"""What plot.js draws, as plain data, and memory as bars. Figures are raw; the script writes them for people."""

import math
from collections.abc import Sequence
from typing import Any

import pandas

from harness.dashboard.data import column_of
from harness.dashboard.files import RunFile
from harness.result.columns import COLUMNS, METRICS, TIMED, Column, format_value
from harness.result.comparable import KEYS, group_for
from harness.result.pareto import front
from harness.result.tuning import Tuning
from harness.result.units import MISSING, human_bytes

LOG_SPAN = 30  # values that span more than this factor are drawn on a log axis where nothing else is asked for
HOVER = ("model", "peft_type", "rank", "learning_rate", "max_steps", "trainable_params", "quantization", "hardware")
PARTS = ("base_weights", "trained_weights", "gradients", "optimizer_state", "remainder")
PHASES = {
    "loading": "memory_load", "training": "memory_train", "evaluation": "memory_eval",
    "forgetting": "memory_forgetting", "inference": "memory_inference",
}  # fmt: skip


def axis(column: Column, log: bool = False) -> dict[str, Any]:
    """What the script needs to know of one axis."""
    return {"label": column.label, "unit": column.unit, "better": column.better, "log": log}


def is_log(values: pandas.Series, scale: str) -> bool:
    """Whether the axis is a log one: as asked for, or because the values span so much."""
    if scale:
        return scale == "log"
    known = values.dropna()
    return len(known) > 1 and bool(known.min() > 0 and known.max() / known.min() > LOG_SPAN)


class Scatter:
    """Two metrics of the rows: which can be drawn, why others cannot, which are on the front of their group."""

    def __init__(self, rows: pandas.DataFrame, x: str, y: str, scales: tuple[str, str] = ("", "")) -> None:
        usable = rows[(rows["status"] == "success") & rows[x].notna() & rows[y].notna()]
        self.log = (is_log(usable[x], scales[0]), is_log(usable[y], scales[1]))
        self.x, self.y = column_of(METRICS[x], rows), column_of(METRICS[y], rows)
        self.rows, self.left_out = _drawable(rows, self.x, self.y, self.log)
        self.group = group_for((x, y))
        self.apart = [name for key, name in KEYS[self.group].items() if self.rows[key].nunique() > 1]
        chosen = self.rows[front(self.rows, x, y)].sort_values([x, y]) if len(self.rows) else self.rows
        self.front = chosen

    def data(self, names: dict[str, str], methods: Sequence[str], bars: bool, highlight: str) -> dict[str, Any]:
        """For the script.

        Args:
            names: of each row's key, what it is called.
            methods: all that the results have, in an order that filters do not change, so that colours stay.
            bars: whether intervals of scores are drawn.
            highlight: a method.
        """
        numbers = {key: place for place, key in enumerate(self.front["key"], start=1)}
        groups = dict(zip(self.rows[self.group].unique(), range(len(self.rows)), strict=False))
        place = {method: index for index, method in enumerate(methods)}
        axes = {"x": self.x, "y": self.y}
        with_bars = [letter for letter, one in axes.items() if bars and one.key == "score"]
        points = [
            {
                "key": row["key"], "name": names[row["key"]], "method": place[row["method"]],
                "group": groups[row[self.group]],
                "x": row[self.x.key], "y": row[self.y.key], "front": numbers.get(row["key"], 0),
                "bars": {letter: _bounds(row) for letter in with_bars},
                "hover": hover(row, self.x, self.y),
            }
            for row in self.rows.to_dict("records")
        ]  # fmt: skip
        shown = {"x": axis(self.x, self.log[0]), "y": axis(self.y, self.log[1]), "points": points}
        return {"kind": "scatter", **shown, "methods": list(methods), "highlight": highlight}


def _bounds(row: dict[str, Any]) -> list[float] | None:
    return None if pandas.isna(row["score_low"]) else [row["score_low"], row["score_high"]]


def hover(row: dict[str, Any], *axes: Column) -> list[str]:
    """The configuration, a line each; only what is known, and the axes' figures are written by the script."""
    lines = []
    for key in HOVER:
        value = format_value(COLUMNS[key], row[key])
        if value != MISSING and key not in [one.key for one in axes]:
            lines.append(f"{COLUMNS[key].label}: {value[:80]}")
    return [*lines, f"seeds: {row['seeds']:.0f}"]


def _drawable(
    rows: pandas.DataFrame, x: Column, y: Column, log: tuple[bool, bool]
) -> tuple[pandas.DataFrame, list[str]]:
    """Rows that can be drawn, and why the others cannot, with counts."""
    missing = rows[x.key].isna() | rows[y.key].isna()
    failed = (rows["status"] != "success") & ~missing
    timed = bool({x.key, y.key} & TIMED)
    shared = rows["shared_device"] & ~missing & ~failed & timed
    unfit = pandas.Series(False, index=rows.index)
    for key, is_log_ in ((x.key, log[0]), (y.key, log[1])):
        unfit |= (rows[key] <= 0) & is_log_
    unfit &= ~missing & ~failed & ~shared
    reasons = {
        f"without a value for {x.label.lower()} or {y.label.lower()}": missing, "that did not succeed": failed,
        "timed while another process used the GPU": shared, "with a value that a log axis cannot show": unfit,
    }  # fmt: skip
    why = [f"{mask.sum()} {reason}" for reason, mask in reasons.items() if mask.any()]
    return rows[~(missing | failed | shared | unfit)], why


def curves(series: Sequence[tuple[str, RunFile]]) -> list[dict[str, Any]]:
    """Training loss and validation score over steps, of a name's run each; only what was recorded."""
    steps, found = {"label": "optimizer steps", "unit": "count", "better": None, "log": False}, []
    for key, title in (("train loss", "Training loss"), ("valid", "Validation score")):
        lines = [(name, run.log(key)) for name, run in series]
        heights = [height for _, points in lines for _, height in points]
        unit = "share" if key == "valid" and heights and min(heights) >= 0 and max(heights) <= 1 else "number"
        if heights:
            y = {"label": title, "unit": unit, "better": None, "log": False}
            shown = [{"name": name, "points": points} for name, points in lines if points]
            found.append({"kind": "lines", "x": steps, "y": y, "series": shown})
    return found


def response(record: Tuning) -> dict[str, Any]:
    """Mean score on valid of each tried number; failed trials have none."""
    points = [(value, record.mean(value)) for value in record.values if _is_number(value)]
    known = sorted((value, mean) for value, mean in points if mean is not None)
    spread = len(known) > 1 and known[0][0] > 0
    x = {"label": record.key, "unit": "plain", "better": None, "log": spread}
    y = {"label": f"{record.metric} on valid", "unit": "share", "better": None, "log": False}
    return {"kind": "lines", "x": x, "y": y, "series": [{"name": f"chosen: {record.chosen}", "points": known}]}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def memory(rows: Sequence[tuple[str, pandas.Series]]) -> list[dict[str, Any]]:
    """Peaks of the phases and, where they were measured, what the peak of training consists of, as parts of 100 %."""
    bars = []
    for name, row in rows:
        prefix = f"{name} · " if name else ""
        for phase, key in PHASES.items():
            if not pandas.isna(row[key]):
                bars.append((prefix + phase, row[key], [("peak of the phase", row[key], "peak")]))
            parts = [(COLUMNS[part].label.lower(), row[part], part) for part in PARTS if not pandas.isna(row[part])]
            if phase == "training" and parts:
                bars.append((f"{prefix}training, parts", math.fsum(part[1] for part in parts), parts))
    most = max((total for _, total, _ in bars), default=0) or 1
    return [
        {
            "name": name, "total": human_bytes(total),
            "parts": [
                {"name": what, "kind": kind, "width": 100 * value / most, "text": human_bytes(value)}
                for what, value, kind in parts
            ],
        }
        for name, total, parts in bars
    ]  # fmt: skip
