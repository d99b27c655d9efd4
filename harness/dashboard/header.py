"""What stands above the tabs: the choice of task, model and hardware, the filters, and what must be said."""

from typing import Any

import gradio
import pandas

from harness.dashboard import markup, selection
from harness.dashboard.choices import Data, hardware_choices, model_choices, task_choices
from harness.dashboard.markup import Safe, details, join, tag
from harness.dashboard.notices import notices
from harness.dashboard.selection import Shown
from harness.dashboard.state import View
from harness.experiment import all_experiments, display_path
from harness.result.columns import COLUMNS, format_value
from harness.result.files import Skipped

FILTERED = ("results", "tradeoffs")  # tabs that the filters apply to
MOST_SKIPPED = 100
TITLE = "PEFT method comparison"
SUBTITLE = (
    "What fine-tuning methods cost and achieve, measured: storage, memory, training and inference speed, quality."
)
EXAMPLE = 'memory_train < 600 * MiB and (score > 0.7 or method == "ia3")'


class Header:
    """Components above the tabs and what they show."""

    def __init__(self) -> None:
        with gradio.Row(elem_id="top"):
            gradio.HTML(join([tag("h1", TITLE), tag("p", SUBTITLE)]), elem_classes="page-head", min_width=320, scale=3)
            with gradio.Row(elem_id="top-buttons", scale=2):
                self.copy = gradio.Button("Copy link", size="sm", elem_id="copy-link", min_width=120)
                self.theme = gradio.Button("Light / dark", size="sm", elem_id="toggle-theme", min_width=90)
                self.reload = gradio.Button("Read results again", size="sm", elem_id="reload", min_width=120)
        with gradio.Row(equal_height=True) as self.row:
            task = gradio.Dropdown([], label="Task", elem_id="task")
            model = gradio.Dropdown([], label="Base model", elem_id="model")
            hardware = gradio.Dropdown([], label="Hardware", elem_id="hardware")
            text = gradio.Textbox(
                label="Search experiments", placeholder="such as lora", max_lines=1, elem_id="search"
            )
        self.summary = gradio.HTML(elem_classes="pane", elem_id="summary")
        self.controls = {"task": task, "model": model, "hardware": hardware, "text": text}
        self._add_filters()
        self.notes = gradio.HTML(elem_classes="pane", elem_id="notes")
        self.outputs = [self.row, self.summary, self.notes, self.filters]

    def _add_filters(self) -> None:
        with gradio.Accordion("Filters", open=False, elem_id="filters") as self.filters:
            with gradio.Row(equal_height=True):
                methods = gradio.Dropdown([], multiselect=True, label="Methods", elem_id="methods")
                quantization = gradio.Dropdown([], multiselect=True, label="Quantization of the base")
                max_memory = gradio.Textbox(label="Memory at most", placeholder="such as 24 GiB", max_lines=1)
                max_trainable = gradio.Textbox(
                    label="Trained parameters at most", placeholder="such as 5M", max_lines=1
                )
            expression = gradio.Textbox(label="Expression", placeholder=EXAMPLE, max_lines=1, elem_id="expression")
            names = [[key, column.label, column.description] for key, column in COLUMNS.items()]
            text = "Bytes, seconds, and shares from 0 to 1; units such as MiB, GiB, minutes and percent can be used."
            gradio.HTML(
                details("Names an expression may use", tag("p", text), markup.table(["Name", "Column", ""], names)),
                elem_classes="pane",
            )
            with gradio.Row():
                self.apply = gradio.Button("Apply filters", variant="primary", size="sm")
                self.clear = gradio.Button("Clear all filters", size="sm")
        self.controls |= {"methods": methods, "quantization": quantization, "max_memory": max_memory}
        self.controls |= {"max_trainable": max_trainable, "expression": expression}

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show."""
        rows, controls = shown.everything, self.controls
        used = view.tab in FILTERED
        number = selection.active(view)
        warnings = notices(shown.rows if used else rows)
        choices = {
            "task": (task_choices(data), view.task),
            "model": (model_choices(data, view.task), view.model),
            "hardware": (hardware_choices(data, view.task, view.model), view.hardware),
            "methods": (_values(rows["method"]), list(view.methods)),
            "quantization": (_values(rows["quantization"]), list(view.quantization)),
        }
        found = {controls[key]: gradio.update(choices=offer, value=value) for key, (offer, value) in choices.items()}
        return found | {
            controls["text"]: gradio.update(visible=used),
            self.filters: gradio.update(visible=used, label=f"Filters ({number} set)" if number else "Filters"),
            self.summary: summary(shown, used),
            self.notes: join(
                [
                    *(markup.notice(problem, "error") for problem in shown.problems),
                    *(markup.notice(text, "warning") for text in warnings),
                    skipped_files(data.skipped),
                ]
            ),
        }


def _values(column: pandas.Series) -> list[tuple[str, str]]:
    return [(value or "unknown", value) for value in sorted(column.unique())]


def summary(shown: Shown, filtered: bool) -> Safe:
    """How many experiments and runs there are, what the score is, and what it is to be read against."""
    rows = shown.everything
    count = f"{len(rows):,} experiment{'' if len(rows) == 1 else 's'}, {rows['seeds'].sum():,} runs"
    if filtered and len(shown.rows) != len(rows):
        count = f"{len(shown.rows):,} of {count}"
    parts = [count]
    metrics = sorted(set(rows["metric"]) - {""})
    if len(metrics) == 1:
        parts.append(f"score: {metrics[0]} on the test split")
    for key, name in (("base_score", "untouched base model"), ("majority", "always the most frequent answer")):
        values = rows[key].dropna()
        if len(values):
            ends = dict.fromkeys(format_value(COLUMNS[key], value) for value in (values.min(), values.max()))
            parts.append(f"{name}: {' to '.join(ends)}")
    return tag("p", " · ".join(parts), class_="quiet")


def skipped_files(skipped: tuple[Skipped, ...]) -> Safe:
    """Names every file that was left out, with the reason."""
    if not skipped:
        return Safe("")
    rows = [[one.path, one.reason] for one in skipped[:MOST_SKIPPED]]
    more = len(skipped) - MOST_SKIPPED
    rest = tag("p", f"… and {more:,} more.") if more > 0 else ""
    text = f"{len(skipped):,} file{' was' if len(skipped) == 1 else 's were'} left out"
    return tag("div", details(text, markup.table(["File", "Why"], rows), rest), class_="notice warning")


def first_result(data: Data) -> Safe:
    """What to do where there are no results at all."""
    where = ", ".join(display_path(path) for path in data.paths)
    small = [path for path in all_experiments() if path.name.startswith("embedded-")]  # they need no GPU or network
    command = f"python run.py {display_path(small[0])} --seed 0" if small else "python run.py --help"
    return join(
        [
            tag("h2", "No results yet"),
            tag("p", f"Nothing that can be shown was found in {where}."),
            tag("p", "Make the first one, in about a minute, without GPU or network:"),
            tag("pre", f"pip install -r requirements.txt\n{command}"),
            tag("p", "It writes a file below results/. Then press “Read results again”. Results from elsewhere:"),
            tag("pre", "python app.py --results PATH"),
            skipped_files(data.skipped),
        ]
    )
