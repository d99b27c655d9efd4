"""The Experiment page: everything that was recorded about one row of the results."""

from typing import Any

import gradio

from harness.dashboard import detail, markup, plots_runs
from harness.dashboard.choices import Data
from harness.dashboard.experiment_parts import (
    MEMORY_HELP,
    command,
    configuration,
    facts,
    inference,
    problems,
    provenance,
    samples,
    title,
)
from harness.dashboard.markup import Safe, join, tag
from harness.dashboard.selection import Shown
from harness.dashboard.state import View

HELP = "What one experiment is, how its training went, what it cost, what it answered, and how to run it again."


class ExperimentTab:
    """Components of the page and what they show."""

    def __init__(self) -> None:
        gradio.HTML(tag("p", HELP, class_="help"), elem_classes="pane")
        with gradio.Row():
            experiment = gradio.Dropdown([], label="Experiment", scale=3, elem_id="experiment-choice")
            seed = gradio.Dropdown([], label="Run", info="for samples and provenance", scale=1, elem_id="seed-choice")
        self.head = gradio.HTML(elem_classes="pane", elem_id="experiment-head")
        with gradio.Row():
            self.loss = gradio.Plot(show_label=False, container=False, elem_id="loss-plot", min_width=300)
            self.valid = gradio.Plot(show_label=False, container=False, elem_id="valid-plot", min_width=300)
        self.cost = gradio.HTML(elem_classes="pane", elem_id="experiment-cost")
        self.memory = gradio.Plot(show_label=False, container=False, elem_id="memory-plot")
        self.rest = gradio.HTML(elem_classes="pane", elem_id="experiment-rest")
        self.controls = {"experiment": experiment, "seed": seed}
        self.outputs = [self.head, self.loss, self.valid, self.cost, self.memory, self.rest]

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show."""
        row = shown.row(view.experiment)
        if row is None:
            nothing = markup.notice("Choose an experiment above.")
            blank = dict.fromkeys((self.cost, self.rest), Safe("")) | dict.fromkeys(
                (self.loss, self.valid, self.memory)
            )
            return blank | {self.head: nothing}
        runs = detail.runs_of_row(row)
        run = next((one for one in runs if str(one.seed) == view.seed), runs[0])
        series = [(one.name, detail.training_log(one)) for one in runs]
        return {
            self.head: join(
                [title(row), facts(row), *problems(runs), configuration(row, run), tag("h3", "Learning curve")]
            ),
            self.loss: plots_runs.curves(series, "train loss", "Training loss"),
            self.valid: plots_runs.curves(series, "valid", "Validation score"),
            self.cost: join([inference(row), tag("h3", "Memory"), tag("p", MEMORY_HELP, class_="help")]),
            self.memory: plots_runs.memory([("", row)]),
            self.rest: join([samples(run), provenance(row, run), command(row, run)]),
        }
