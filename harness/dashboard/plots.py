"""Figures. Text that comes from result files is escaped, since plotly reads some HTML in labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import pandas
import plotly.graph_objects as plotly

from harness.dashboard.markup import escape
from harness.dashboard.theme import COLOURS, SYMBOLS
from harness.result.columns import Column
from harness.result.comparable import group_for

HEIGHT = 520
GREY = "#7d8794"


@dataclass(frozen=True)
class Axes:
    """What a scatter plot shows: two metrics, their scales, and whether intervals are drawn."""

    x: Column
    y: Column
    log_x: bool = False
    log_y: bool = False
    bars: bool = True


def empty(text: str) -> plotly.Figure:
    """A figure that says why there is nothing to draw."""
    figure = styled(plotly.Figure(), 220)
    figure.add_annotation(text=escape(text), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def scatter(rows: pandas.DataFrame, front: Sequence[str], axes: Axes, hover: dict[str, str]) -> plotly.Figure:
    """Every row as a point, coloured by method; the fronts' rows, in order, are ringed, numbered and joined.

    Args:
        rows: experiments with both metrics.
        front: keys of the rows on the Pareto front of their group, in the order of x.
        axes: what is drawn.
        hover: escaped text of each row's key.
    """
    figure = styled(plotly.Figure(), HEIGHT)
    numbers = {key: number for number, key in enumerate(front, start=1)}
    members = rows[rows["key"].isin(numbers)].sort_values([axes.x.key, axes.y.key])
    group = group_for((axes.x.key, axes.y.key))
    for index, (_, line) in enumerate(members.groupby(group, sort=False)):
        figure.add_trace(
            plotly.Scatter(
                x=_scaled(line[axes.x.key], axes.x), y=_scaled(line[axes.y.key], axes.y), mode="lines+markers+text",
                name="Pareto front", legendgroup="front", showlegend=index == 0, hoverinfo="skip",
                text=[f"<b>{numbers[key]}</b>" for key in line["key"]], textposition="bottom right", cliponaxis=False,
                line={"color": GREY, "dash": "dot", "width": 2},
                marker={"symbol": "circle-open", "size": 20, "color": GREY, "line": {"width": 2}},
            )
        )  # fmt: skip
    for index, (method, part) in enumerate(rows.groupby("method", sort=True)):
        figure.add_trace(
            plotly.Scatter(
                x=_scaled(part[axes.x.key], axes.x), y=_scaled(part[axes.y.key], axes.y), mode="markers",
                name=escape(method or "unknown"), customdata=[[key] for key in part["key"]], cliponaxis=False,
                hovertext=[hover[key] for key in part["key"]], hovertemplate="%{hovertext}<extra></extra>",
                error_x=_error(part, axes.x, axes.bars), error_y=_error(part, axes.y, axes.bars),
                marker={
                    "color": COLOURS[index % len(COLOURS)], "symbol": SYMBOLS[index % len(SYMBOLS)], "size": 11
                },
            )
        )  # fmt: skip
    figure.update_xaxes(title=_axis_title(axes.x), type="log" if axes.log_x else "linear")
    figure.update_yaxes(title=_axis_title(axes.y), type="log" if axes.log_y else "linear")
    return figure.update_layout(
        hovermode="closest", clickmode="event", hoverlabel={"align": "left", "bgcolor": "#2a303b"}
    )


def _scaled(values: pandas.Series, column: Column) -> list[float | None]:
    factor = {"share": 100, "points": 100, "bytes": 2**-20}.get(column.unit, 1)
    return [factor * value if number(value) else None for value in values]


def _axis_title(column: Column) -> str:
    unit = {"share": "%", "points": "points", "bytes": "MiB", "seconds": "s", "joules": "J", "rate": "per second"}
    unit |= {"flops": "FLOP", "ratio": "times"}
    better = f"{column.better} is better" if column.better else ""
    extra = ", ".join(part for part in (unit.get(column.unit, ""), better) if part)
    return f"{column.label} ({extra})" if extra else column.label


def _error(rows: pandas.DataFrame, column: Column, wanted: bool) -> dict | None:
    """The interval of the score; other metrics have none."""
    if column.key != "score" or not wanted:
        return None
    above = [_distance(high, value) for high, value in zip(rows["score_high"], rows["score"], strict=True)]
    below = [_distance(value, low) for low, value in zip(rows["score_low"], rows["score"], strict=True)]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1, "width": 3}


def _distance(one: float, other: float) -> float:
    return 100 * (one - other) if number(one) and number(other) else 0.0


def number(value: object) -> bool:
    """Whether it can be drawn: a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def styled(figure: plotly.Figure, height: int) -> plotly.Figure:
    """In the page's style: transparent, since colours of text and grid follow the page's theme (style.css)."""
    return figure.update_layout(
        template="none", height=height, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 72, "r": 16, "t": 24, "b": 48}, font={"size": 13, "family": "system-ui, sans-serif"},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "itemsizing": "constant"},
        dragmode=False,
    ).update_xaxes(gridcolor="#d5d9df", zeroline=False, automargin=True, tickangle=0, nticks=8).update_yaxes(
        gridcolor="#d5d9df", zeroline=False, automargin=True, title_standoff=14
    )  # fmt: skip
