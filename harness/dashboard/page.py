"""Every page as HTML: templates/ hold the markup, whatever comes from files or links is escaped by Jinja2."""

import json
import math
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas
from markupsafe import Markup

from harness.dashboard import choose, compare, experiment, export, files, methods, plots, results, selection
from harness.dashboard.claims import CLAIMS
from harness.dashboard.data import (
    Data,
    hardware_options,
    labels,
    model_options,
    read_data,
    resolve,
    seed_options,
    state_of,
    task_options,
)
from harness.dashboard.estimates import VERDICTS
from harness.dashboard.findings import CHANCE, findings
from harness.dashboard.notices import notices
from harness.dashboard.selection import Shown, show
from harness.dashboard.subsets import all_subsets
from harness.dashboard.view import CONTROLS, FILTERED, MOST_COMPARED, TABS, View, from_query, query_of
from harness.experiment import all_experiments, display_path
from harness.result.columns import COLUMNS, format_value
from harness.result.units import MISSING, human_bytes, plural

FOLDER = Path(__file__).parent
TITLE = "PEFT method comparison"
LONGEST = 4000  # characters of one text shown; longer ones are cut, and say so
MOST_SKIPPED = 100


def _finalize(value: Any) -> Any:
    """What a template prints: missing values are a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, str) and not isinstance(value, Markup) and len(value) > LONGEST:
        return f"{value[:LONGEST]} … ({len(value):,} characters)"
    return value


def _breakable(name: Any) -> Markup:
    """A name that may be broken after a slash, a dot or an underscore, not only at hyphens."""
    text = str(Markup.escape(_finalize(name)))
    return Markup(re.sub(r"(?<=\w)([/_.])(?=\w)", r"\1<wbr>", text))  # noqa: S704 (escaped above)


def _json(value: Any) -> Markup:
    """For a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 (escaped above)


TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"), autoescape=True, finalize=_finalize, trim_blocks=True,
    lstrip_blocks=True, undefined=jinja2.StrictUndefined,
)  # fmt: skip
TEMPLATES.filters |= {"breakable": _breakable, "json": _json}
TEMPLATES.globals |= {
    "CONTROLS": CONTROLS, "TABS": TABS, "TITLE": TITLE, "COLUMNS": COLUMNS, "MOST_COMPARED": MOST_COMPARED,
    "write": format_value, "query_of": query_of, "missing": pandas.isna, "links": methods.links, "MISSING": MISSING,
    "bytes": human_bytes,
    "skipped_rows": lambda skipped: [(one.path, one.reason) for one in skipped],
    "column_rows": lambda: [(key, one.label, one.description) for key, one in COLUMNS.items()],
}  # fmt: skip


def asset(name: str) -> Markup:
    """A style or script of ours, as it stands."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 (a file of this package)


class Dashboard:
    """The results below some paths, and the pages over them."""

    def __init__(self, paths: Sequence[Path], task: str | None = None) -> None:
        self.paths, self.task, self._lock = tuple(paths), task, threading.Lock()
        self.data: Data = read_data(self.paths, task)
        self._reports: tuple[Data | None, list] = (None, [])

    def refresh(self) -> None:
        """Reads the files again if any of them is another one now."""
        with self._lock:
            if state_of(self.paths) != self.data.state:
                files.forget()
                self.data = read_data(self.paths, self.task)

    def page(self, query: str) -> str:
        """The whole page that a link asks for."""
        data, (view, problems) = self.data, from_query(query)
        if data.experiments.empty:
            return self._render("empty.html", view, first=_first_result(), skipped=data.skipped, paths=data.paths)
        view, absent = resolve(view, data)
        shown = show(data, view, view.tab in FILTERED)
        if shown.everything.empty or (absent and view.tab == "experiment" and not view.experiment):
            return self._render("absent.html", view, problems=[*problems, *absent], **self._frame(data, view, shown))
        content = getattr(self, f"_{view.tab}")(data, view, shown)
        problems = [*problems, *absent, *shown.problems]
        return self._render(f"{view.tab}.html", view, problems=problems, **self._frame(data, view, shown), **content)

    def saved(self, query: str, kind: str) -> tuple[str, str]:
        """Name and text of the file with exactly what the table of that link shows; kind is "csv" or "json"."""
        view, _ = resolve(from_query(query)[0], self.data)
        rows = results.ordered(show(self.data, view).rows, view.sort, view.ascending)
        write = {"csv": export.to_csv, "json": export.to_json}[kind]
        return export.file_name(view, kind), write(rows, export.saved_columns(rows, view))

    def picture(self, query: str, name: str) -> tuple[bytes, str] | None:
        """A picture that a result of the selection names."""
        view, _ = resolve(from_query(query)[0], self.data)
        row = show(self.data, view, False).row(view.experiment)
        runs = [] if row is None else files.runs_of_row(row)
        return next((found for run in runs if (found := run.picture(name)) is not None), None)

    def _render(self, template: str, view: View, **content: Any) -> str:
        assets = {"style": asset("style.css"), "scripts": asset("plot.js") + asset("script.js")}
        return TEMPLATES.get_template(template).render(view=view, drawn=set(), **assets, **content)

    def _frame(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        """What every page has: the choices above, what the rows are, and what must be said of them."""
        rows, models = shown.everything, model_options(data.experiments, data.places, view.task)
        of_place = data.experiments[
            (data.experiments["part"] == view.task) & (data.experiments["model"] == view.model)
        ]
        options = {
            "task": task_options(data.places), "model": models, "hardware": hardware_options(of_place),
            "methods": {name: name or "unknown" for name in sorted(rows["method"].unique())},
            "quantization": {name: name or "unknown" for name in sorted(rows["quantization"].unique())},
        }  # fmt: skip
        said = shown.rows if view.tab in FILTERED else rows
        return {
            "options": options, "shown": shown, "query": query_of(view), "summary_line": _summary(shown),
            "notices": notices(said), "skipped": data.skipped[:MOST_SKIPPED],
            "more_skipped": len(data.skipped) - MOST_SKIPPED, "filtered": view.tab in FILTERED,
            "active": selection.active(view), "methods": sorted(rows["method"].unique()),
        }  # fmt: skip

    def _results(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        subsets = all_subsets(data.experiments, data.runs, shown.rows)
        return results.context(view, shown) | {"subsets": subsets, "file": export.file_name(view, "")}

    def _tradeoffs(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        scatter = plots.Scatter(shown.rows, view.x, view.y, (view.scale_x, view.scale_y))
        names, methods_ = labels(shown.everything), sorted(data.experiments["method"].unique())
        plot = scatter.data(names, methods_, not view.no_bars, view.highlight)
        return {"scatter": scatter, "names": names, "plot": plot, "front": scatter.front.to_dict("records")}

    def _experiment(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        row = shown.row(view.experiment)
        choices = {"experiment": labels(shown.everything), "seed": seed_options(row)}
        return experiment.context(row, view.seed) | {"choices": choices}

    def _compare(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        return compare.context(view, shown, data.runs)

    def _choose(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        return choose.context(view, data)

    def _findings(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        if self._reports[0] is not data:  # no choice changes them
            self._reports = (data, findings(data.runs, CLAIMS))
        reports = self._reports[1]
        counts = [(verdict, sum(report.verdict == verdict for report in reports)) for verdict in VERDICTS]
        return {"reports": reports, "counts": counts, "chance": CHANCE}

    def _capabilities(self, data: Data, view: View, shown: Shown) -> dict[str, Any]:
        heads, body, problem = methods.capabilities()
        return {"heads": heads, "body": body, "problem": problem}


def _summary(shown: Shown) -> list[str]:
    """How many experiments and runs there are, what the score is, and what it is to be read against."""
    rows = shown.everything
    count = f"{len(rows):,} {plural(len(rows), 'experiment')}, {rows['seeds'].sum():,} runs"
    parts = [count if len(shown.rows) == len(rows) else f"{len(shown.rows):,} of {count}"]
    metrics = sorted(set(rows["metric"]) - {""})
    parts += [f"score: {metrics[0]} on the test split"] if len(metrics) == 1 else []
    for key, name in (("base_score", "untouched base model"), ("majority", "always the most frequent answer")):
        values = rows[key].dropna()
        ends = (
            dict.fromkeys(format_value(COLUMNS[key], value) for value in (values.min(), values.max()))
            if len(values)
            else {}
        )
        parts += [f"{name}: {' to '.join(ends)}"] if ends else []
    return parts


def _first_result() -> str:
    """The command for a result that needs no GPU and no network."""
    small = [path for path in all_experiments() if path.name.startswith("embedded-")]
    return f"python run.py {display_path(small[0])} --seed 0" if small else "python run.py --help"
