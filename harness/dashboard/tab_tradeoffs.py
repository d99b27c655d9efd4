"""The Trade-offs page: any metric against any other, and what no other experiment beats in both."""

from typing import Any

import gradio
import pandas

from harness.dashboard import markup, plots
from harness.dashboard.choices import Data, higher_is_better, labels
from harness.dashboard.markup import OPENS, Safe, badge, breakable, escape, join, tag
from harness.dashboard.selection import Shown
from harness.dashboard.state import View
from harness.result.columns import COLUMNS, METRICS, TIMED, Column, directed, format_value
from harness.result.comparable import KEYS, group_for
from harness.result.pareto import front

HELP = (
    "Each point is an experiment. Numbered points are on the Pareto front: nothing here is better in both metrics. "
    "Hover over a point for its configuration, click it to open the experiment."
)
HOVER = ("model", "peft_type", "rank", "learning_rate", "max_steps", "trainable_params", "quantization", "hardware")


class TradeoffsTab:
    """Components of the page and what they show."""

    def __init__(self) -> None:
        gradio.HTML(tag("p", HELP, class_="help"), elem_classes="pane")
        choices = [(column.label, key) for key, column in METRICS.items()]
        with gradio.Row(equal_height=True):
            y = gradio.Dropdown(choices, value=View.y, label="Vertical", elem_id="axis-y")
            x = gradio.Dropdown(choices, value=View.x, label="Horizontal", elem_id="axis-x")
            with gradio.Column(min_width=260):
                with gradio.Row():
                    log_y = gradio.Checkbox(label="Vertical log", min_width=110)
                    log_x = gradio.Checkbox(label="Horizontal log", min_width=110)
                bars = gradio.Checkbox(value=True, label="Intervals of scores")
        self.counts = gradio.HTML(elem_classes="pane", elem_id="tradeoffs-counts")
        self.plot = gradio.Plot(show_label=False, container=False, elem_id="tradeoffs-plot")
        self.front = gradio.HTML(elem_classes="pane", elem_id="tradeoffs-front", js_on_load=OPENS)
        self.controls = {"x": x, "y": y, "log_x": log_x, "log_y": log_y, "bars": bars}
        self.outputs = [self.counts, self.plot, self.front]

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show."""
        x, y = (directed(METRICS[key], higher_is_better(shown.rows)) for key in (view.x, view.y))
        axes = plots.Axes(x, y, view.log_x, view.log_y, view.bars)
        rows, left_out = with_values(shown.rows, axes)
        counts = join([sentence(left_out, len(rows)), *_hints(rows, axes)])
        if len(rows) == 0:
            text = "There is no experiment with both values; choose another metric, or loosen the filters."
            return {self.counts: counts, self.plot: plots.empty(text), self.front: Safe("")}
        keys = front_keys(rows, axes)
        names = labels(shown.everything)
        hover = {row["key"]: hover_text(row, names[row["key"]], axes) for row in rows.to_dict("records")}
        return {
            self.counts: counts,
            self.plot: plots.scatter(rows, keys, axes, hover),
            self.front: front_table(rows, keys, names, axes),
        }


def with_values(rows: pandas.DataFrame, axes: plots.Axes) -> tuple[pandas.DataFrame, list[str]]:
    """Rows that can be drawn, and why the others cannot, with counts."""
    x, y = axes.x.key, axes.y.key
    missing = rows[x].isna() | rows[y].isna()
    failed = (rows["status"] != "success") & ~missing
    timed = {x, y} & TIMED
    shared = rows["shared_device"] & ~missing & ~failed if timed else pandas.Series(False, index=rows.index)
    unfit = pandas.Series(False, index=rows.index)
    for key, log in ((x, axes.log_x), (y, axes.log_y)):
        if log:
            unfit |= rows[key] <= 0
    unfit &= ~missing & ~failed & ~shared
    why = []
    if missing.any():
        why.append(f"{missing.sum()} without a value for {axes.x.label.lower()} or {axes.y.label.lower()}")
    if failed.any():
        why.append(f"{failed.sum()} that did not succeed")
    if shared.any():
        why.append(f"{shared.sum()} timed while another process used the GPU")
    if unfit.any():
        why.append(f"{unfit.sum()} with a value that a log axis cannot show")
    return rows[~(missing | failed | shared | unfit)], why


def front_keys(rows: pandas.DataFrame, axes: plots.Axes) -> list[str]:
    """Keys of the rows on the front, in the order of x."""
    chosen = rows[front(rows, axes.x.key, axes.y.key)]
    return list(chosen.sort_values([axes.x.key, axes.y.key])["key"])


def sentence(left_out: list[str], drawn: int) -> Safe:
    """How many are drawn, how many are not and why."""
    text = f"{drawn} experiment{'' if drawn == 1 else 's'} drawn."
    if left_out:
        text += f" Left out: {'; '.join(left_out)}."
    return tag("p", text, class_="counts")


def _hints(rows: pandas.DataFrame, axes: plots.Axes) -> list[Safe]:
    keys = KEYS[group_for((axes.x.key, axes.y.key))]
    apart = [name for key, name in keys.items() if key in rows and rows[key].nunique() > 1]
    if not apart:
        return []
    text = f"The points differ in {' and '.join(apart)}, which are not comparable: each has a front of its own."
    return [markup.notice(text, "warning")]


def hover_text(row: dict[str, Any], name: str, axes: plots.Axes) -> str:
    """Values of both axes and the configuration, a line each; only what is known."""
    lines = [f"<b>{escape(name)}</b>"]
    for column in (axes.y, axes.x):
        lines.append(f"{escape(column.label)}: {escape(format_value(column, row[column.key]))}{_bounds(row, column)}")
    for key in HOVER:
        value = format_value(COLUMNS[key], row[key])
        if value != markup.MISSING and key not in (axes.x.key, axes.y.key):
            lines.append(f"{escape(COLUMNS[key].label)}: {escape(value[:80])}")
    lines.append(f"seeds: {row['seeds']:.0f}")
    return "<br>".join(lines)


def _bounds(row: dict[str, Any], column: Column) -> str:
    if column.key != "score" or pandas.isna(row["score_low"]) or pandas.isna(row["score_high"]):
        return ""
    return f" ({100 * row['score_low']:.1f} – {100 * row['score_high']:.1f})"


def front_table(rows: pandas.DataFrame, keys: list[str], names: dict[str, str], axes: plots.Axes) -> Safe:
    """The front's experiments with both values, numbered as in the plot."""
    by_key = rows.set_index("key", drop=False)
    body = []
    for number, key in enumerate(keys, start=1):
        row = by_key.loc[key]
        name = tag("button", breakable(names[key]), type="button", class_="open", data_open=key)
        few = badge("one seed", "warn", row["interval"]) if row["seeds"] == 1 else ""
        values = [format_value(column, row[column.key]) for column in (axes.x, axes.y)]
        body.append([str(number), join([name, " ", few]), values[0], join([values[1], _bounds(row, axes.y)])])
    caption = f"The Pareto front: {_wanted(axes.x)}, {_wanted(axes.y)}"
    return markup.table(["No.", "Experiment", axes.x.label, axes.y.label], body, "front", caption)


def _wanted(column: Column) -> str:
    return f"{'high' if column.better == 'higher' else 'low'} {column.label.lower()}"
