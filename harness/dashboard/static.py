"""One page without a server: table, filters, sorting and the trade-off plot in one HTML file that opens from disk.

The rows travel in it as JSON, column by column, texts by their number in a list; static.js does what the server would.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from harness.dashboard.data import Data, is_small, labels, read_data, task_options
from harness.dashboard.page import TEMPLATES, asset
from harness.dashboard.plots import LOG_SPAN
from harness.errors import UserError
from harness.result.columns import COLUMNS, METRICS, of_metric, of_unit
from harness.result.experiments import fill_intervals

NUMBERS = (
    "score", "score_low", "score_high", "seeds", "gain", "valid_score", "train_loss", "forgetting", "drift",
    "trainable_params", "storage", "memory_train", "train_tokens_per_second", "train_time", "overhead_unmerged",
    "overhead_merged", "rank", "learning_rate",
)  # fmt: skip
TEXTS = ("label", "method", "part", "model", "hardware", "protocol", "status", "created", "interval", "tie", "budget")
TEXTS += ("score_group", "cost_group", "quantization")
FLAGS = ("ranked", "tied", "best", "fit")
DIGITS = 6  # of a figure


def write_page(paths: Sequence[Path], task: str | None, out: Path) -> Path:
    """Writes the page to a file, or as index.html into a folder, and returns where it is.

    Raises:
        UserError: there are no results.
        OSError: it cannot be written.
    """
    data = read_data(paths, task)
    if data.experiments.empty:
        raise UserError(f"--static {out}: no results in {', '.join(map(str, paths))}; give --results where some are")
    path = out if out.suffix.lower() in (".html", ".htm") else out / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(data), encoding="utf-8")
    return path


def page(data: Data) -> str:
    """The page's HTML."""
    scripts = asset("plot.js") + asset("static.js")
    content = {"data": payload(data), "skipped": data.skipped, "style": asset("style.css"), "scripts": scripts}
    return TEMPLATES.get_template("static.html").render(**content)


def payload(data: Data) -> dict[str, Any]:
    """What the page's script needs."""
    frame = data.experiments.assign(
        label="", fit=(data.experiments["status"] == "success") & ~data.experiments["modified"]
    )
    frame["fit"] &= frame["differs"] == ""
    parts = [fill_intervals(frame[_here(frame, *place)]) for place in data.places]
    frame = pandas.concat([part.assign(label=part["key"].map(labels(part))) for part in parts])
    texts = {key: list(dict.fromkeys(frame[key])) for key in TEXTS}
    numbers: dict[str, list] = {key: [_short(value) for value in frame[key]] for key in NUMBERS}
    for key, words in texts.items():
        place = {word: index for index, word in enumerate(words)}
        numbers[key] = [place[word] for word in frame[key]]
    flags = {key: [int(value) for value in frame[key]] for key in FLAGS}
    tasks = task_options(data.places)
    places = [
        {
            "part": part, "task": tasks[part], "model": f"{model} (small test model)" if is_small(model) else model,
            "at": [texts["part"].index(part), texts["model"].index(model)],
            "columns": _columns(frame[_here(frame, part, model)]),
        }
        for part, model in data.places
    ]  # fmt: skip
    return {"columns": numbers | flags, "texts": texts, "places": places, "logSpan": LOG_SPAN}


def _here(frame: pandas.DataFrame, part: str, model: str) -> pandas.Series:
    return (frame["part"] == part) & (frame["model"] == model)


def _columns(rows: pandas.DataFrame) -> list[list[Any]]:
    """Key, label, unit, direction, description of each shown column, and whether it depends on the machine."""
    first = rows.iloc[0]
    found = []
    for key in NUMBERS:
        if rows[key].notna().any() and key not in ("score_low", "score_high"):
            one = of_unit(COLUMNS[key], first["work_unit"])
            one = of_metric(one, first["metric"], bool(first["higher_is_better"]), bool(first["share"]))
            found.append(
                [key, one.label, one.unit, one.better if key in METRICS else None, one.description, one.machine]
            )
    return found


def _short(value: float) -> float | int | None:
    if pandas.isna(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.{DIGITS}g}")
