"""Figures of single runs: learning curves, and memory by phase and part."""

from collections.abc import Sequence

import pandas
import plotly.graph_objects as plotly

from harness.dashboard.markup import escape
from harness.dashboard.plots import GREY, HEIGHT, empty, number, styled
from harness.dashboard.theme import COLOURS, SYMBOLS
from harness.result.columns import COLUMNS, format_value

MEMORY_PARTS = ("base_weights", "trained_weights", "gradients", "optimizer_state", "remainder")
PHASES = {
    "loading": "memory_load", "training": "memory_train", "evaluation": "memory_eval",
    "forgetting": "memory_forgetting", "inference": "memory_inference",
}  # fmt: skip


def curves(series: Sequence[tuple[str, list[dict]]], value: str, title: str) -> plotly.Figure:
    """A quantity of the training log over steps, one line per name; lines of the log without it are left out."""
    figure = styled(plotly.Figure(), 340)
    for index, (name, log) in enumerate(series):
        points = [(line["step"], line[value]) for line in log if number(line.get(value)) and number(line.get("step"))]
        if not points:
            continue
        figure.add_trace(
            plotly.Scatter(
                x=[step for step, _ in points], y=[height for _, height in points], mode="lines+markers",
                name=escape(name), line={"color": COLOURS[index % len(COLOURS)]}, showlegend=True,
                marker={"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 7},
            )
        )  # fmt: skip
    if not figure.data:
        return empty(f"No {title.lower()} was recorded.")
    if value == "valid" and all(0 <= height <= 1 for trace in figure.data for height in trace.y):
        figure.update_yaxes(tickformat=".1%")
    return figure.update_xaxes(title="optimizer steps", rangemode="tozero").update_yaxes(title=title)


def memory(rows: Sequence[tuple[str, pandas.Series]]) -> plotly.Figure:
    """Peaks of the phases and, where they were measured, what the peak of training consists of.

    Args:
        rows: short names, empty where there is only one row, and rows of the experiments.
    """
    figure = styled(plotly.Figure(), HEIGHT)
    places: list[str] = []
    peaks: list[tuple[str, float]] = []
    parts: dict[str, list[tuple[str, float]]] = {key: [] for key in MEMORY_PARTS}
    for name, row in rows:
        prefix = f"{escape(name)} · " if name else ""
        for phase, key in PHASES.items():
            if number(row.get(key)):
                peaks.append((prefix + phase, row[key]))
                places.append(prefix + phase)
            measured = [part for part in MEMORY_PARTS if number(row.get(part))] if phase == "training" else []
            for part in measured:
                parts[part].append((prefix + "training, parts", row[part]))
            places += [prefix + "training, parts"] if measured else []
    if not places:
        return empty("No memory was measured.")
    figure.add_trace(_bars(peaks, "peak of the phase", GREY))
    for index, (key, bars) in enumerate(parts.items()):
        if bars:
            figure.add_trace(_bars(bars, COLUMNS[key].label.lower(), COLOURS[index]))
    figure.update_layout(barmode="stack", height=140 + 34 * len(places), legend={"traceorder": "normal"}, bargap=0.3)
    figure.update_yaxes(categoryorder="array", categoryarray=places, autorange="reversed", showgrid=False)
    return figure.update_xaxes(title="MiB")


def _bars(bars: list[tuple[str, float]], name: str, colour: str) -> plotly.Bar:
    text = [format_value(COLUMNS["memory_train"], value) for _, value in bars]
    return plotly.Bar(
        y=[place for place, _ in bars], x=[value / 2**20 for _, value in bars], name=name, orientation="h",
        marker={"color": colour}, hovertext=[f"{name}: {value}" for value in text],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
