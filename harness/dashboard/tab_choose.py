"""The Choose page: which method for me? Answered from measurements; rules of thumb only where there are none."""

from collections.abc import Mapping
from typing import Any

import gradio

from harness.dashboard import markup, state
from harness.dashboard.choices import PROFILE, SCOPES, Data
from harness.dashboard.choose import Advice, Candidate, Ranking, advise
from harness.dashboard.markup import OPENS, Safe, badge, breakable, details, join, section, tag
from harness.dashboard.needs import FAMILIES, INFERENCE, PRIORITIES, Needs
from harness.dashboard.rules import Rule
from harness.dashboard.selection import Shown
from harness.dashboard.state import QuantityError, View, quantity

HELP = "Say what you have and what matters most; leave empty what does not. Ranked are measured experiments only."


class ChooseTab:
    """Components of the page and what they show."""

    def __init__(self) -> None:
        gradio.HTML(tag("p", HELP, class_="help"), elem_classes="pane")
        with gradio.Row():
            priority = gradio.Radio(_options(PRIORITIES), value=View.priority, label="What matters most", scale=2)
            scope = gradio.Radio(_options(SCOPES), value=View.scope, label="Answer from", scale=2)
        with gradio.Row():
            family = gradio.Dropdown(_options(FAMILIES), value=View.family, label="Model family", elem_id="family")
            inference = gradio.Dropdown(_options(INFERENCE), value=View.inference, label="Inference")
            model_params = _text("Parameters of your model", "3B")
            gpu_memory = _text("GPU memory", "24 GiB")
        with gradio.Row():
            dataset_rows = _text("Training rows you have", "10k")
            max_train_time = _text("Training time at most", "90 min")
            max_storage = _text("Storage of one adapter at most", "100 MiB")
        self.answer_button = gradio.Button("Answer", variant="primary", size="sm", elem_id="choose-button")
        self.answer = gradio.HTML(elem_classes="pane", elem_id="choose-answer", js_on_load=OPENS)
        self.controls = {
            "priority": priority, "scope": scope, "family": family, "inference": inference,
            "model_params": model_params, "gpu_memory": gpu_memory, "dataset_rows": dataset_rows,
            "max_train_time": max_train_time, "max_storage": max_storage,
        }  # fmt: skip
        self.outputs = [self.answer]

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show."""
        try:
            advice = advise(data.experiments, needs_of(view), data.runs)
        except (QuantityError, ValueError) as error:
            return {self.answer: markup.notice(str(error), "error")}
        return {self.answer: answer(advice)}


def _options(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(text, key) for key, text in labels.items()]


def _text(label: str, example: str) -> gradio.Textbox:
    return gradio.Textbox(label=label, placeholder=f"such as {example}", max_lines=1, min_width=150)


def needs_of(view: View) -> Needs:
    """What the fields say.

    Raises:
        QuantityError: one cannot be read.
        ValueError: one makes no sense.
    """
    chosen: dict[str, str] = {}
    if view.scope == "selection":
        task, _, subset = view.task.removeprefix(PROFILE).partition("/")
        chosen = {"task": task, "subset": subset, "model": view.model, "hardware": view.hardware}
    return Needs(
        **chosen,
        family=view.family,
        model_params=quantity(view.model_params, "Parameters of your model", state.COUNTS, "3B"),
        gpu_memory=quantity(view.gpu_memory, "GPU memory", state.BYTES, "24 GiB"),
        dataset_rows=_whole(quantity(view.dataset_rows, "Training rows", state.COUNTS, "10k")),
        max_storage=quantity(view.max_storage, "Storage", state.BYTES, "100 MiB"),
        max_train_seconds=quantity(view.max_train_time, "Training time", state.SECONDS, "90 min"),
        inference=view.inference,
        priority=view.priority,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def answer(advice: Advice) -> Safe:
    """Notes, one ranking per comparable group, then rules of thumb."""
    parts = [markup.notice(note) for note in advice.notes]
    parts += [ranking(one) for one in advice.rankings]
    if advice.rules:
        rules = [_rule(rule) for rule in advice.rules]
        parts.append(
            section("Rules of thumb, not measured here", *rules, help="Advice of the field, with its source.")
        )
    return join(parts)


def _rule(rule: Rule) -> Safe:
    source = tag("a", rule.source, href=rule.url, rel="noreferrer", target="_blank") if rule.url else rule.source
    where = tag("p", "Source: ", source, ". What it rests on: ", rule.basis, class_="quiet")
    return tag("div", badge("rule of thumb", "warn"), " ", tag("b", rule.text), where, class_="card rule")


def ranking(one: Ranking) -> Safe:
    """Kept experiments in order, each with its reasons; then those with a figure missing, and those dropped."""
    kept = [_choice(choice) for choice in one.kept]
    parts: list[Safe] = [markup.notice(note) for note in one.notes]
    if kept:
        heads = ["Rank", "Experiment", "Figure", "Why"]
        parts.append(markup.table(heads, kept, "kept"))
    else:
        parts.append(tag("p", "None of the measured experiments meets everything you asked."))
    for title, choices in (("A figure was not measured", one.unknown), ("Dropped", one.dropped)):
        if choices:
            rows = [[_name(choice), choice.headline, _reasons(choice)] for choice in choices]
            body = markup.table(["Experiment", "Figure", "Why"], rows)
            parts.append(details(f"{title}: {len(choices)}", body, opened=not kept))
    return tag("div", tag("h3", one.title), *parts, class_="card ranking")


def _choice(choice: Candidate) -> list[Any]:
    mark = badge("tied with the first", "good") if choice.tied else ""
    name = join([_name(choice), " ", mark])
    return ["–" if choice.rank is None else str(choice.rank), name, choice.headline, _reasons(choice)]


def _name(choice: Candidate) -> Safe:
    """The experiment's name, which opens its page."""
    name, place = breakable(choice.experiment), choice.place
    if place is None:
        return tag("b", name)
    where = {"task": place.task, "model": place.model, "hardware": place.hardware}
    data = {f"data_{key}": value for key, value in where.items()}
    return tag("button", name, type="button", class_="open", data_open=place.key, **data)


def _reasons(choice: Candidate) -> Safe:
    return tag("ul", *(tag("li", reason) for reason in choice.reasons), class_="reasons")
