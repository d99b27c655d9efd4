"""The whole page: composes the tabs, and connects every choice with what it changes.

Each event gathers all choices into a View, makes it fit the results, and draws the header and the tab that is open.
What is drawn is also written as a link, which the exports read: they give what is shown, not what is being typed.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio

from harness.dashboard import detail
from harness.dashboard.choices import (
    higher_is_better,
    read_data,
    resolve,
    row_choices,
    seed_choices,
    selected,
)
from harness.dashboard.header import FILTERED, TITLE, Header, first_result
from harness.dashboard.markup import Safe
from harness.dashboard.saved import saved_file
from harness.dashboard.selection import show
from harness.dashboard.state import FIELDS, MOST_COMPARED, View, from_controls, from_query
from harness.dashboard.tab_choose import ChooseTab
from harness.dashboard.tab_compare import CompareTab
from harness.dashboard.tab_experiment import ExperimentTab
from harness.dashboard.tab_findings import FindingsTab
from harness.dashboard.tab_results import ResultsTab
from harness.dashboard.tab_tradeoffs import TradeoffsTab
from harness.dashboard.theme import COPY_LINK, ON_LOAD, SAVE_FILE, SHOW_LINK, TOGGLE_THEME
from harness.result.columns import COLUMNS, Column, directed

LABELS = {
    "results": "Results", "tradeoffs": "Trade-offs", "experiment": "Experiment", "compare": "Compare",
    "choose": "Choose", "findings": "Findings",
}  # fmt: skip
KINDS = {
    "results": ResultsTab, "tradeoffs": TradeoffsTab, "experiment": ExperimentTab, "compare": CompareTab,
    "choose": ChooseTab, "findings": FindingsTab,
}  # fmt: skip
LONGEST_LINK = 20_000  # characters that are read of one
NO_FILTERS = {"methods": (), "quantization": (), "max_memory": "", "max_trainable": "", "text": "", "expression": ""}


def build(paths: Sequence[Path], task: str | None = None) -> gradio.Blocks:
    """The dashboard over the results below `paths`.

    Args:
        paths: folders or files, read now and whenever a visitor asks for it.
        task: of result files that do not name theirs; by default the folder's name tells.
    """
    return Page(paths, task).blocks


class Page:
    """The components, the results they show, and the events between them."""

    def __init__(self, paths: Sequence[Path], task: str | None) -> None:
        self.paths, self.task = tuple(paths), task
        self.data = read_data(self.paths, task)
        with gradio.Blocks(analytics_enabled=False, title=TITLE, fill_width=True) as self.blocks:
            self._compose()
            self._connect()

    def _compose(self) -> None:
        self.empty = gradio.HTML(elem_classes="pane", elem_id="empty", visible=False)
        self.header = Header()
        self.tabs: dict[str, Any] = {}
        with gradio.Tabs(elem_id="tabs") as self.bar:
            for name, kind in KINDS.items():
                with gradio.Tab(LABELS[name], id=name):
                    self.tabs[name] = kind()
        self.link = gradio.Textbox(visible="hidden", elem_id="link", label="link")
        self.file = gradio.JSON(visible=False)
        states = {name: gradio.State(getattr(View(), name)) for name in ("tab", "sort", "ascending", "all_rows")}
        found = self.header.controls | states
        for tab in self.tabs.values():
            found |= tab.controls
        self.controls = {name: found[name] for name in FIELDS}
        outputs = [self.empty, self.bar, self.link, *self.header.outputs, *self.controls.values()]
        self.outputs = outputs + [output for tab in self.tabs.values() for output in tab.outputs]

    def _connect(self) -> None:
        self._on(self.blocks.load, self._load, inputs=[], js=None)
        self.blocks.load(None, None, None, js=ON_LOAD)
        self._on(self.bar.select, self._select_tab)
        for name, control in self.controls.items():
            if isinstance(control, gradio.Textbox):
                self._on(control.change if name == "text" else control.submit, self._refresh)
            elif not isinstance(control, gradio.State):
                self._on(control.input, self._refresh)
        self._on(self.header.apply.click, self._refresh)
        self._on(self.tabs["choose"].answer_button.click, self._refresh)
        self._on(self.header.clear.click, self._clear)
        self._on(self.header.reload.click, self._reload)
        results = self.tabs["results"]
        self._on(results.more.click, self._all_rows)
        self._on(results.go.click, self._go_compare)
        self._on(results.table.select, self._clicked)
        self._on(self.tabs["tradeoffs"].front.select, self._clicked)
        self._on(self.tabs["choose"].answer.select, self._clicked)
        for button, kind in ((results.csv, "csv"), (results.json, "json")):
            saved = button.click(self._export(kind), self.link, self.file, **_QUIET)
            saved.then(None, self.file, None, js=SAVE_FILE)
        self.header.theme.click(None, None, None, js=TOGGLE_THEME)
        self.header.copy.click(None, None, None, js=COPY_LINK)

    def _on(self, event: Callable, handler: Callable, inputs: list | None = None, **extra: Any) -> None:
        """Connects an event of the page with a handler that returns updates; then the link is shown."""
        inputs = list(self.controls.values()) if inputs is None else inputs
        done = event(handler, inputs, self.outputs, trigger_mode="always_last", **_QUIET, **extra)
        done.then(None, self.link, None, js=SHOW_LINK)

    def _view(self, values: Sequence[Any]) -> View:
        return from_controls(dict(zip(self.controls, values, strict=True)))

    def draw(self, view: View, everything: bool = False) -> dict[Any, Any]:
        """Updates for the view; `everything` also writes what people type, which else is left alone."""
        if len(self.data.experiments) == 0:
            parts = (self.bar, self.header.row, self.header.filters)
            hidden = {component: gradio.update(visible=False) for component in parts}
            return hidden | {self.empty: gradio.update(value=first_result(self.data), visible=True)}
        view = resolve(view, self.data)
        shown = show(self.data, view if view.tab in FILTERED else dataclasses.replace(view, **NO_FILTERS))
        there, gone = gradio.update(visible=True), gradio.update(visible=False)
        found: dict[Any, Any] = {self.empty: gone, self.bar: there, self.header.row: there}
        if everything:
            found |= {control: _value(getattr(view, name)) for name, control in self.controls.items()}
        found |= {self.controls[name]: getattr(view, name) for name in ("tab", "sort", "ascending", "all_rows")}
        rows = row_choices(shown.everything)
        offers = {"experiment": rows, "compare": rows, "seed": seed_choices(shown.everything, view.experiment)}
        for name, choices in offers.items():
            found[self.controls[name]] = gradio.update(choices=choices, value=_value(getattr(view, name)) or None)
        rendered = self.header.render(self.data, view, shown) | self.tabs[view.tab].render(self.data, view, shown)
        for component, update in rendered.items():
            found[component] = _merged(found.get(component), update) if everything else update
        return found | {self.link: view.query()}

    def _load(self, request: gradio.Request) -> dict[Any, Any]:
        view = from_query(parse_qsl(str(request.query_params)[:LONGEST_LINK]))
        return self._open(view, everything=True)

    def _refresh(self, *values: Any) -> dict[Any, Any]:
        return self.draw(self._view(values))

    def _select_tab(self, event: gradio.SelectData, *values: Any) -> dict[Any, Any]:
        name = next(name for name, label in LABELS.items() if label == event.value)
        return self.draw(dataclasses.replace(self._view(values), tab=name))

    def _clear(self, *values: Any) -> dict[Any, Any]:
        return self.draw(dataclasses.replace(self._view(values), **NO_FILTERS), everything=True)

    def _reload(self, *values: Any) -> dict[Any, Any]:
        detail.forget()
        self.data = read_data(self.paths, self.task)
        return self.draw(self._view(values), everything=True)

    def _all_rows(self, *values: Any) -> dict[Any, Any]:
        return self.draw(dataclasses.replace(self._view(values), all_rows=True))

    def _go_compare(self, *values: Any) -> dict[Any, Any]:
        return self._open(dataclasses.replace(self._view(values), tab="compare"))

    def _open(self, view: View, everything: bool = False) -> dict[Any, Any]:
        """Draws the view with its tab in front."""
        found = self.draw(view, everything)
        return found | {self.bar: found[self.bar] | {"selected": view.tab}}

    def _clicked(self, event: gradio.EventData, *values: Any) -> dict[Any, Any]:
        """A head of the table, a name, a point of the plot, or a tick."""
        view, what = self._view(values), event._data or {}
        if what.get("open"):
            return self._open(opened(view, what))
        if "ticked" in what:
            return self._ticked(view, list(map(str, what["shown"])), list(map(str, what["ticked"])))
        column = COLUMNS.get(str(what.get("sort")))
        if column is None:
            return {}
        return self.draw(clicked_head(view, column, higher_is_better(selected(self.data, view))))

    def _ticked(self, view: View, shown: list[str], ticked: list[str]) -> dict[Any, Any]:
        """Compares what is ticked, and what was chosen and is not in the table; the table stays as it is."""
        kept = [key for key in view.compare if key in ticked or key not in shown]
        compare = list(dict.fromkeys(kept + ticked))
        if len(compare) > MOST_COMPARED:
            gradio.Info(f"At most {MOST_COMPARED} experiments can be compared; untick one first.")
            return self.draw(view)
        found = self.draw(dataclasses.replace(view, compare=tuple(compare)))
        found.pop(self.tabs["results"].table)
        return found

    def _export(self, kind: str) -> Callable[[str], dict[str, str]]:
        return lambda query: saved_file(self.data, query, kind)


def opened(view: View, what: Mapping[str, Any]) -> View:
    """The page of an experiment, which may be of another task, model or hardware than the chosen ones."""
    view = dataclasses.replace(view, tab="experiment", experiment=str(what["open"]))
    if "task" not in what:
        return view
    hardware = view.hardware if view.hardware == str(what.get("hardware")) else ""
    return dataclasses.replace(view, task=str(what["task"]), model=str(what.get("model", "")), hardware=hardware)


def clicked_head(view: View, column: Column, higher: bool) -> View:
    """Sorted by the column, best first; the other way round where it is sorted by it already."""
    best_first = column.unit == "text" or directed(column, higher).better == "lower"
    if column.key == (view.sort or "score"):
        ascending = not (view.ascending if view.sort else best_first)
    else:
        ascending = best_first
    return dataclasses.replace(view, sort=column.key, ascending=ascending)


_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def _value(value: Any) -> Any:
    """A field of the view as its control takes it."""
    return list(value) if isinstance(value, tuple) else value


def _merged(value: Any, update: Any) -> Any:
    """What a tab says of a component, with the value that the view gives it."""
    is_update = isinstance(update, dict) and update.get("__type__") == "update"
    if value is None or isinstance(value, Safe) or not is_update or "value" in update:
        return update
    return update | {"value": value}
