"""The Compare page: two to four experiments of the selection side by side."""

import itertools
from typing import Any

import gradio
import pandas

from harness.dashboard import detail, markup, plots_runs
from harness.dashboard.choices import Data, labels
from harness.dashboard.detail import ABSENT, flat
from harness.dashboard.experiment_parts import MEMORY_HELP, show_setting
from harness.dashboard.markup import Safe, badge, breakable, join, section, table, tag
from harness.dashboard.selection import Shown
from harness.dashboard.state import MOST_COMPARED, View
from harness.dashboard.verdicts import PairVerdict, compare_rows
from harness.result.columns import COLUMNS, METRICS, NUMBERS, TIMED, directed, format_value
from harness.result.comparable import group_for

HELP = f"Choose two to {MOST_COMPARED} experiments, here or by their ticks on the Results page."
TESTED = (
    "Scores on the test split. Methods are compared with their seeds as the units; where one has a single seed, two "
    "trained models are. No difference seen is not the same as equal: the interval says what could not be ruled out."
)
EMPTY = (ABSENT, None, False, {}, [])  # ways of saying that a setting does nothing


class CompareTab:
    """Components of the page and what they show."""

    def __init__(self) -> None:
        gradio.HTML(tag("p", HELP, class_="help"), elem_classes="pane")
        compare = gradio.Dropdown(
            [], multiselect=True, max_choices=MOST_COMPARED, label="Experiments", elem_id="compare-choice"
        )
        self.head = gradio.HTML(elem_classes="pane", elem_id="compare-head")
        with gradio.Row():
            self.loss = gradio.Plot(show_label=False, container=False, elem_id="compare-loss", min_width=300)
            self.valid = gradio.Plot(show_label=False, container=False, elem_id="compare-valid", min_width=300)
        self.middle = gradio.HTML(elem_classes="pane")
        self.memory = gradio.Plot(show_label=False, container=False, elem_id="compare-memory")
        self.rest = gradio.HTML(elem_classes="pane", elem_id="compare-rest")
        self.controls = {"compare": compare}
        self.outputs = [self.head, self.loss, self.valid, self.middle, self.memory, self.rest]

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show."""
        names = labels(shown.everything)
        rows = [row for row in (shown.row(key) for key in view.compare) if row is not None]
        if len(rows) < 2:
            text = "Choose at least two experiments." if len(names) > 1 else "This selection has only one experiment."
            nothing = dict.fromkeys((self.loss, self.valid, self.memory))
            return nothing | {self.head: markup.notice(text), self.middle: "", self.rest: ""}
        sides = [(f"{letter}  {names[row['key']]}", row) for letter, row in zip("ABCD", rows, strict=False)]
        logs = [(name, _first_log(row)) for name, row in sides]
        curves_help = "Of each experiment’s first seed." if any(row["seeds"] > 1 for row in rows) else None
        return {
            self.head: join(
                [verdicts(sides, data.runs), metrics(sides), section("Learning curves", help=curves_help)]
            ),
            self.loss: plots_runs.curves(logs, "train loss", "Training loss"),
            self.valid: plots_runs.curves(logs, "valid", "Validation score"),
            self.middle: section("Memory", help=MEMORY_HELP),
            self.memory: plots_runs.memory([(name[0], row) for name, row in sides]),
            self.rest: configurations(sides),
        }


Sides = list[tuple[str, pandas.Series]]


def _first_log(row: pandas.Series) -> list[dict[str, Any]]:
    return detail.training_log(detail.runs_of_row(row)[0])


def verdicts(sides: Sides, runs: pandas.DataFrame) -> Safe:
    """Each pair, and what the statistics say of it."""
    body = []
    for (name_a, a), (name_b, b) in itertools.combinations(sides, 2):
        verdict = compare_rows(a, b, runs)
        pair = join([tag("b", breakable(name_a)), tag("div", "against ", breakable(name_b), class_="small")])
        body.append([pair, _badge(verdict, name_a, name_b), verdict.figures or markup.MISSING, verdict.words])
    heads = ["Pair", "Verdict", "Difference of scores", "How"]
    pairs = len(body)
    chance = f" Of {pairs} comparisons, chance lets each see a difference in up to 5 % of cases." if pairs > 1 else ""
    return section("Is the difference real?", table(heads, body, "verdicts"), help=TESTED + chance)


def _badge(verdict: PairVerdict, name_a: str, name_b: str) -> Safe:
    if not verdict.tested:
        return badge("not tested", "warn")
    if verdict.better is None:
        return badge("no difference seen")
    return join([badge("better", "good"), " ", breakable({"A": name_a, "B": name_b}[verdict.better])])


def metrics(sides: Sides) -> Safe:
    """Every figure that one of them has, side by side; the best of a directed metric is bold where all have it."""
    body = []
    alike = {group: len({row[group] for _, row in sides}) == 1 for group in ("score_group", "cost_group")}
    usable = all(row["status"] == "success" and not row["modified"] and not row["differs"] for _, row in sides)
    shared = any(row["shared_device"] for _, row in sides)
    for key in NUMBERS:
        column = directed(COLUMNS[key], bool(sides[0][1]["higher_is_better"]))
        values = [row[key] for _, row in sides]
        if all(pandas.isna(value) for value in values) or key in ("score_low", "score_high"):
            continue
        cells = [_cell(key, row) for _, row in sides]
        known = not any(pandas.isna(value) for value in values) and len(set(values)) > 1
        fair = alike[group_for([key])] and usable and not (shared and key in TIMED)
        if fair and known and key in METRICS and key != "score":
            best = max(values) if column.better == "higher" else min(values)
            cells = [tag("b", cell) if value == best else cell for cell, value in zip(cells, values, strict=True)]
        body.append([tag("span", column.label, title=column.description), *cells])
    help_ = "Bold: the best figure, without a test of whether the difference is real."
    if not usable:
        help_ = "Not all of them are successful, unmodified experiments: figures are side by side, not to be ranked."
    if not alike["score_group"]:
        help_ = "They differ in protocol, data or base model: figures are side by side, not to be ranked."
    elif not alike["cost_group"]:
        help_ += " They ran on different machines: memory, time and speed are side by side, not to be ranked."
    return section("Figures", table(["", *(breakable(name) for name, _ in sides)], body, "figures"), help=help_)


def _cell(key: str, row: pandas.Series) -> Safe | str:
    text = format_value(COLUMNS[key], row[key])
    if text == markup.MISSING:
        return tag("span", "not measured" if key in METRICS else text, class_="quiet")
    if key == "score" and not pandas.isna(row["score_low"]):
        low, high = 100 * row["score_low"], 100 * row["score_high"]
        return join([text, tag("div", f"{low:.1f} – {high:.1f}; {row['interval']}", class_="small")])
    return text


def configurations(sides: Sides) -> Safe:
    """The settings in which they differ."""
    runs = [detail.runs_of_row(row)[0] for _, row in sides]
    found = []
    for title, part in (("Adapter", "peft_config"), ("Training parameters", "train_config")):
        settings = [flat(run.part("run_info", part)) for run in runs]
        rows = [(key, values) for key, values in detail.differences(settings) if key != "seed"]
        rows = [(key, values) for key, values in rows if any(value not in EMPTY for value in values)]
        body = [[key, *(show_setting(value) for value in values)] for key, values in rows]
        same = tag("p", "The same in all of them.", class_="quiet")
        heads = ["Setting", *(breakable(name) for name, _ in sides)]
        found += [tag("h4", title), table(heads, body, "settings") if body else same]
    return section("Settings that differ", *found)
