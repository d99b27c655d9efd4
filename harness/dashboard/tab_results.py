"""The Results page: one row per experiment of the selection, with the uncertainty of its score."""

from typing import Any

import gradio
import pandas

from harness.dashboard import markup
from harness.dashboard.choices import Data, higher_is_better, labels, ordered
from harness.dashboard.markup import Safe, badge, breakable, join, tag
from harness.dashboard.selection import Shown
from harness.dashboard.state import View
from harness.dashboard.subsets import all_subsets
from harness.result.columns import COLUMNS, Column, directed, format_value
from harness.result.ties import ONLY

FIRST_ROWS = 200
DEFAULT = (
    "score", "seeds", "gain", "forgetting", "trainable_params", "storage", "memory_train", "train_tokens_per_second",
    "overhead_unmerged",
)  # fmt: skip
HELP = (
    "One row per experiment, best score first. Click a column’s head to sort by it, a name to open the experiment; "
    "tick two to four to compare them."
)
# Sends what was clicked to the server: a head, a name, or all ticks, since two may follow each other quickly. Of such
# two the framework may answer the first only; so once a view is drawn, ticks that it lacks are sent again.
_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-sort], [data-open]');
  if (button) trigger('select', {sort: button.dataset.sort || '', open: button.dataset.open || ''});
});
const boxes = () => [...element.querySelectorAll('[data-compare]')];
const keys = (some) => some.map((box) => box.dataset.compare);
const send = () => trigger('select', {shown: keys(boxes()), ticked: keys(boxes().filter((box) => box.checked))});
element.addEventListener('change', (event) => {
  if (event.target.closest('[data-compare]')) send();
});
document.addEventListener('view-drawn', (event) => {
  if (!element.offsetParent) return;  // on another page, where the choice is made without ticks
  if (boxes().some((box) => box.checked !== event.detail.includes(box.dataset.compare))) send();
});
document.addEventListener('open-experiment', (event) => trigger('select', {open: event.detail}));
"""


class ResultsTab:
    """Components of the page and what they show."""

    def __init__(self) -> None:
        gradio.HTML(tag("p", HELP, class_="help"), elem_classes="pane")
        with gradio.Accordion("Columns", open=False, elem_id="columns-box"):
            columns = gradio.Dropdown(
                [(column.label, key) for key, column in COLUMNS.items() if key != "experiment"],
                multiselect=True, label="Shown columns", info="none chosen: the usual ones", elem_id="columns",
            )  # fmt: skip
        self.table = gradio.HTML(elem_id="results-table", elem_classes="pane", js_on_load=_CLICKS)
        with gradio.Row(elem_id="exports"):
            self.csv = gradio.Button("Download CSV", size="sm")
            self.json = gradio.Button("Download JSON", size="sm")
            self.go = gradio.Button("Compare", variant="primary", size="sm", visible=False, elem_id="go-compare")
            self.more = gradio.Button("Show all rows", size="sm", visible=False)
        self.subsets = gradio.HTML(elem_id="all-subsets", elem_classes="pane")
        self.controls = {"columns": columns}
        self.outputs = [self.table, self.csv, self.json, self.go, self.more, self.subsets]

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show."""
        if shown.problems:
            content = Safe("")
        elif len(shown.rows) == 0:
            content = markup.notice("No experiment passes these filters; loosen one of them above.")
        else:
            content = table(sort_rows(shown.rows, view), view)
        count = f"{len(shown.rows):,} row{'' if len(shown.rows) == 1 else 's'}"
        hidden = 0 if view.all_rows else max(0, len(shown.rows) - FIRST_ROWS)
        return {
            self.table: content,
            self.subsets: all_subsets(data.experiments, data.runs, shown.rows),
            self.csv: gradio.update(value=f"Download CSV ({count})", interactive=len(shown.rows) > 0),
            self.json: gradio.update(value=f"Download JSON ({count})", interactive=len(shown.rows) > 0),
            self.go: gradio.update(visible=len(view.compare) > 1, value=f"Compare the {len(view.compare)} ticked"),
            self.more: gradio.update(visible=hidden > 0, value=f"Show {hidden:,} more rows"),
        }


def shown_columns(view: View) -> list[str]:
    """Keys of the table's columns, the experiment's name first."""
    chosen = view.columns or DEFAULT
    return ["experiment", *(key for key in chosen if key != "experiment")]


def sort_rows(rows: pandas.DataFrame, view: View) -> pandas.DataFrame:
    """In the order that the view asks for."""
    return ordered(rows, view.sort, view.ascending)


def table(rows: pandas.DataFrame, view: View) -> Safe:
    """The table as HTML."""
    columns = [COLUMNS[key] for key in shown_columns(view)]
    limits = _limits(rows)
    compared = set(view.compare)
    visible = rows if view.all_rows else rows.head(FIRST_ROWS)
    names = labels(rows)
    body = [_row(row | {"label": names[row["key"]]}, columns, limits, compared) for row in visible.to_dict("records")]
    higher = higher_is_better(rows)
    heads = tag("tr", *(_head(directed(column, higher), view, higher) for column in columns))
    inner = tag("table", tag("thead", heads), tag("tbody", *body))
    return tag("div", inner, class_="frame wide", tabindex="0", role="region", aria_label="Results")


def _head(column: Column, view: View, higher: bool) -> Safe:
    order = None
    if column.key == view.sort:
        order = "ascending" if view.ascending else "descending"
    elif column.key == "score" and not view.sort:
        order = "descending" if higher else "ascending"
    arrow = {"ascending": " ▲", "descending": " ▼", None: ""}[order]
    hint = column.description + (f" ({column.better} is better)" if column.better else "")
    button = tag("button", column.label, arrow, type="button", class_="sort", data_sort=column.key, title=hint)
    numeric = "number" if column.unit != "text" and column.key != "score" else None
    return tag("th", button, scope="col", class_=numeric, aria_sort=order)


def _row(row: dict[str, Any], columns: list[Column], limits: tuple[float, float], compared: set[str]) -> Safe:
    cells = [_name(row, row["key"] in compared)]
    for column in columns[1:]:
        if column.key == "score":
            cells.append(tag("td", score_cell(row, limits), class_="score"))
        else:
            kind = "text" if column.unit == "text" else "number"
            cells.append(tag("td", format_value(column, row[column.key]), class_=kind))
    return tag("tr", *cells, data_key=row["key"])


def _name(row: dict[str, Any], ticked: bool) -> Safe:
    hint = f"compare {row['experiment']}"
    box = tag("input", type="checkbox", data_compare=row["key"], checked=ticked, aria_label=hint, title=hint)
    button = tag("button", breakable(row["label"]), type="button", class_="open", data_open=row["key"])
    name = tag("span", button, " ", join(badges(row), " "))
    return tag("th", tag("div", box, name, class_="row-name"), scope="row")


def badges(row: dict[str, Any]) -> list[Safe]:
    """What must be known before a row is compared with others."""
    found = []
    if row["ranked"] and row["tied"] and row["tie"] != ONLY:
        found.append(badge("best" if row["best"] else "tied with best", "good", row["tie"]))
    if row["status"] != "success":
        found.append(badge(row["status"].replace("_", " "), "bad", "this run did not succeed and is not ranked"))
    if row["protocol"] == "foreign":
        found.append(badge("foreign", "warn", "made by another harness; never ranked with ours"))
    if row["modified"]:
        found.append(badge("modified", "warn", "parameters were changed on the command line; not ranked"))
    if row["differs"]:
        found.append(badge("seeds differ", "warn", f"the seeds differ in {row['differs']}; not ranked"))
    if row["shared_device"]:
        found.append(badge("shared GPU", "warn", "another process used the same GPU: do not trust its speed"))
    return found


def score_cell(row: dict[str, Any], limits: tuple[float, float]) -> Safe:
    """The score, its interval in figures and as a bar on the scale of all rows, and how many seeds it has."""
    score, low, high = row["score"], row["score_low"], row["score_high"]
    if pandas.isna(score):
        return Safe(markup.MISSING)
    few = join([" ", badge("one seed", "warn", row["interval"])]) if row["seeds"] == 1 else Safe("")
    value = tag("b", format_value(COLUMNS["score"], score))
    if pandas.isna(low) or pandas.isna(high):
        return join([value, few, tag("div", "no interval", class_="small", title=row["interval"])])
    bounds = tag("span", f" {100 * low:.1f} – {100 * high:.1f}", class_="small", title=row["interval"])
    return join([value, bounds, few, _bar(score, low, high, limits)])


def _bar(score: float, low: float, high: float, limits: tuple[float, float]) -> Safe:
    start, width = limits[0], max(limits[1] - limits[0], 1e-9)
    place = [100 * (value - start) / width for value in (low, high, score)]
    reach = tag("i", style=f"left:{place[0]:.1f}%;width:{place[1] - place[0]:.1f}%")
    return tag("span", reach, tag("b", style=f"left:{place[2]:.1f}%"), class_="span", aria_hidden="true")


def _limits(rows: pandas.DataFrame) -> tuple[float, float]:
    """Of the scale on which all scores and intervals are drawn."""
    low = rows[["score", "score_low"]].min().min()
    high = rows[["score", "score_high"]].max().max()
    return (0.0, 1.0) if pandas.isna(low) or pandas.isna(high) else (float(low), float(high))
