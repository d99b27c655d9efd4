"""The Results page: one row per experiment of the selection, with the uncertainty of its score."""

from typing import Any, NamedTuple

import pandas

from harness.dashboard.data import column_of, labels, ordered
from harness.dashboard.files import RunFile, is_thumbnail, runs_of_row
from harness.dashboard.selection import Shown
from harness.dashboard.view import View, query_of
from harness.result.columns import COLUMNS, Column
from harness.result.ties import ONLY
from harness.result.tuning import UNTUNED

FIRST_ROWS = 100
MOST_SHOWN, MOST_SHOTS = 60, 10  # experiments in the gallery, and pictures of each
DEFAULT = (
    "score", "budget", "seeds", "gain", "forgetting", "drift", "trainable_params", "storage", "memory_train",
    "train_tokens_per_second", "overhead_unmerged",
)  # fmt: skip
ALWAYS = ("score", "seeds")  # of the usual ones; others are shown where some row has a figure


class Shot(NamedTuple):
    """A picture of the gallery: what it was to show, and its address, or the name of its file beside the result."""

    prompt: str
    address: str
    name: str


class Badge(NamedTuple):
    """A word beside a name, what it looks like, and what it means."""

    text: str
    kind: str
    hint: str


def shown_columns(view: View, rows: pandas.DataFrame) -> list[str]:
    """Keys of the table's columns, the experiment's name first."""
    usual = [key for key in DEFAULT if key in ALWAYS or _tells(rows[key])]
    return ["experiment", *(key for key in view.columns or usual if key != "experiment")]


def _tells(values: pandas.Series) -> bool:
    """Whether some row has a figure, or a text that says more than that there is none."""
    return not set(values) <= {"", UNTUNED} if values.dtype == "str" else bool(values.notna().any())


def context(view: View, shown: Shown) -> dict[str, Any]:
    """What the page's template needs."""
    rows = ordered(shown.rows, view.sort, view.ascending)
    columns = [column_of(COLUMNS[key], rows) for key in shown_columns(view, rows)]
    visible = rows if view.all_rows else rows.head(FIRST_ROWS)
    names, mixed = labels(rows), rows["foreign"].nunique() > 1
    body = [row | {"label": names[row["key"]], "badges": badges(row, mixed)} for row in visible.to_dict("records")]
    ticked = {key: labels(shown.everything)[key] for key in view.compare}
    return {
        "columns": columns, "body": body, "hidden": len(rows) - len(visible), "limits": _limits(rows),
        "heads": [_head(column, view, rows) for column in columns], "summary": summary(rows, columns),
        "gallery": gallery(body), "ticked": ticked,
        "unseen": [key for key in view.compare if key not in set(visible["key"])],
    }  # fmt: skip


def gallery(body: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[Shot]]]:
    """Each experiment that generates pictures, in the table's order, with those that its first seed's result has."""
    found = []
    for row in body:
        runs = runs_of_row(row) if row["family"] == "diffusion" else []
        shots = _shots(runs[0]) if runs else []
        found += [(row, shots)] if shots else []
    return found[:MOST_SHOWN]


def _shots(run: RunFile) -> list[Shot]:
    own = [one for one in run.rows("quality", "samples") if is_thumbnail(one.get("thumbnail"))]
    shots = [Shot(str(one.get("prompt")), one["thumbnail"], "") for one in own]
    return (shots or [Shot(text, "", name) for kind, name, text in run.pictures() if kind == "sample"])[:MOST_SHOTS]


def _head(column: Column, view: View, rows: pandas.DataFrame) -> dict[str, Any]:
    """A link that sorts by the column, best first; the other way round where it is sorted by it already."""
    lower = bool(len(rows)) and not bool(rows["higher_is_better"].iloc[0])
    current = column.key == (view.sort or "score")
    now = view.ascending if view.sort else lower
    ascending = not now if current else column.unit == "text" or column.better == "lower"
    return {
        "column": column, "order": (("ascending" if now else "descending") if current else None),
        "link": query_of(view, sort=column.key, ascending=ascending),
        "hint": column.description + (f" ({column.better} is better)" if column.better else ""),
    }  # fmt: skip


def badges(row: dict[str, Any], mixed: bool = True) -> list[Badge]:
    """What must be known before a row is compared with others; `mixed` where these are of several harnesses."""
    found = []
    if row["ranked"] and row["tied"] and row["tie"] != ONLY:
        found.append(Badge("best" if row["best"] else "tied with best", "good", row["tie"]))
    if row["status"] != "success":
        found.append(Badge(row["status"].replace("_", " "), "bad", "this run did not succeed and is not ranked"))
    if row["foreign"] and mixed:
        hint = "made with another harness, which may have trained and tested otherwise; never ranked with ours"
        found.append(Badge("published elsewhere", "", hint))
    if not row["direction_known"]:
        hint = f"nobody told whether a higher {row['metric']} is better: shown, not ranked"
        found.append(Badge("unknown metric", "warn", hint))
    if row["modified"]:
        found.append(Badge("modified", "warn", "parameters were changed on the command line; not ranked"))
    if row["differs"]:
        found.append(Badge("seeds differ", "warn", f"the seeds differ in {row['differs']}; not ranked"))
    if row["shared_device"]:
        found.append(Badge("shared GPU", "warn", "another process used the same GPU: do not trust its speed"))
    return found


def summary(rows: pandas.DataFrame, columns: list[Column]) -> list[tuple[str, list[float | None]]]:
    """Least, middle and largest figure of each column over all rows that pass the filters."""
    numbers = [None if one.unit == "text" else rows[one.key] for one in columns]
    return [
        (name, [None if values is None else getattr(values, way)() for values in numbers[1:]])
        for name, way in (("min", "min"), ("median", "median"), ("max", "max"))
    ]


def _limits(rows: pandas.DataFrame) -> tuple[float, float]:
    """Start and width of the scale on which all scores and intervals are drawn."""
    low, high = rows[["score", "score_low"]].min().min(), rows[["score", "score_high"]].max().max()
    return (0.0, 1.0) if pandas.isna(low) or pandas.isna(high) else (float(low), max(float(high - low), 1e-9))
