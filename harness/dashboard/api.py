"""What scripts and other apps may ask for, as Gradio's clients do: the same rows and answers as the pages have.

Every endpoint takes the link of a page, or what stands behind its question mark, so that what is put together by
clicking can be fetched by a program.
"""

from typing import Any

from harness.dashboard import choose, compare, export
from harness.dashboard.data import ordered, resolve
from harness.dashboard.order import Candidate
from harness.dashboard.page import Dashboard
from harness.dashboard.selection import Shown, show
from harness.dashboard.view import View, from_query
from harness.errors import UserError

Rows = list[dict[str, Any]]


class Api:
    """The endpoints over a dashboard; public methods are endpoints of their own names, their docstrings its page."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def results(self, link: str = "") -> Rows:
        """The table of the Results page: the rows that pass the link's filters, in its order, with raw values.

        Parameters:
            link: a page's link or its query, such as "max_memory=24 GB&best=1"; empty for the first page.
        Returns:
            One object per experiment, as in the JSON export: bytes, seconds, shares from 0 to 1; missing is null.
        """
        view, shown = self._asked(link)
        rows = ordered(shown.rows, view.sort, view.ascending)
        return export.rows_of(rows, export.saved_columns(rows, view))

    def compare(self, link: str) -> Rows:
        """What statistics say of each pair of the experiments that the link compares, as on the Compare page.

        Parameters:
            link: a page's link or its query with two to four `compare=<key>`, as ticks on the Results page make it.
        Returns:
            One object per pair: a, b, better (empty where no difference was seen), difference, verdict, tested.
        """
        view, shown = self._asked(link)
        pairs = compare.context(view, shown, self._dashboard.data.runs).get("pairs", [])
        if not pairs:
            raise UserError("link: expected at least two compare=<key>; tick them on the Results page, copy its link")
        return [
            {"a": a["key"], "b": b["key"], "better": {a_name: a["key"], b_name: b["key"]}.get(found.better, ""),
             "difference": found.figures, "verdict": found.words, "tested": found.tested}
            for (a_name, a), (b_name, b), found in pairs
        ]  # fmt: skip

    def choose(self, link: str = "") -> dict[str, Any]:
        """Which method for a card, a model and a task: measured experiments in order, with reasons, as on Choose.

        Parameters:
            link: a page's link or its query, such as "gpu_memory=24 GB&priority=memory"; empty for no restriction.
        Returns:
            rankings: each with title, kept (rank, experiment, key, figure, tied, reasons), unknown, dropped and notes;
            rules: of thumb, where nothing was measured; notes: what else must be said; forecasts: of the memory of
            what was never measured.
        """
        view, _ = self._asked(link)
        found = choose.context(view, self._dashboard.data)
        if found["problem"]:
            raise UserError(found["problem"])
        advice = found["advice"]
        rankings = [
            {"title": one.title, "notes": one.notes}
            | {part: [_candidate(choice) for choice in getattr(one, part)] for part in ("kept", "unknown", "dropped")}
            for one in advice.rankings
        ]
        rules = [{"text": rule.text, "source": rule.source, "url": rule.url} for rule in advice.rules]
        forecasts = [
            one.model_dump(include={"task", "subset", "experiment", "model", "needed", "reason"})
            for group in found["foreseen"]
            for one in (*group.fits, *group.larger, *group.untold)
        ]
        return {"rankings": rankings, "rules": rules, "notes": advice.notes, "forecasts": forecasts}

    def _asked(self, link: str) -> tuple[View, Shown]:
        """The view and its rows; nothing that was asked for is ignored, as no page would say so here.

        Raises:
            UserError: the link has what is not there.
        """
        self._dashboard.refresh()
        data, (view, problems) = self._dashboard.data, from_query(link.rpartition("?")[2])
        if data.experiments.empty:
            raise UserError("there are no results yet")
        view, absent = resolve(view, data)
        shown = show(data, view)
        if problems := [*problems, *absent, *shown.problems]:
            raise UserError(" ".join(problems))
        return view, shown


def _candidate(choice: Candidate) -> dict[str, Any]:
    row = choice.row
    return {"rank": choice.rank, "experiment": row["experiment"], "key": row["key"], "figure": choice.figure,
            "tied": choice.tied, "reasons": choice.reasons}  # fmt: skip
