"""Which method for me? What was measured, filtered by what is needed, in order of what matters most, with reasons.

Every group of experiments with comparable costs has a ranking of its own. What nothing was measured on gets rules of
thumb (harness/dashboard/rules.py) and forecasts of memory (harness/dashboard/foreseen.py), each labelled as such.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy
import pandas

from harness.dashboard import quantity
from harness.dashboard.data import Data, is_small
from harness.dashboard.evidence import group_label
from harness.dashboard.foreseen import NEAR, foreseen, reasons
from harness.dashboard.needs import HEADROOM, NEEDS, Needs, Row, Runs, ended, needs_of, usable
from harness.dashboard.order import KEYS, Candidate, figure, in_order, missing
from harness.dashboard.rules import Rule, Situation, room, rules_for
from harness.dashboard.view import PRIORITIES, View
from harness.result.comparable import FOREIGN
from harness.result.tuning import unequal_budgets
from harness.result.units import human_bytes


@dataclass
class Ranking:
    """One comparable group. `unknown` are experiments of which a figure that is needed was not measured."""

    title: str
    group: str
    row: pandas.Series
    kept: list[Candidate] = field(default_factory=list)
    unknown: list[Candidate] = field(default_factory=list)
    dropped: list[Candidate] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Advice(NamedTuple):
    """Rankings, closest to what was asked first; rules of thumb where they do not answer; what else must be said."""

    rankings: list[Ranking]
    rules: tuple[Rule, ...]
    notes: list[str]


def advise(experiments: pandas.DataFrame, needs: Needs, runs: pandas.DataFrame) -> Advice:
    """Ranks what was measured, by what is needed; the frames are those of by_experiment and of to_frame."""
    rows = _asked(experiments, needs)
    places = {source: place for place, source in enumerate(runs["source"])}
    columns = {
        key: runs[key].to_numpy()
        for key in (*KEYS.values(), "seed", "item_scores", "overhead_merged", "overhead_unmerged")
    }
    parts = sorted(rows.groupby("cost_group", sort=True), key=lambda part: _closeness(part[1], needs))
    rankings = [_ranking(name, part, needs, places, columns) for name, part in parts]
    answered = [one for one in rankings if any(choice.rank for choice in one.kept)]
    large = rows[
        rows["status"].eq("success") & numpy.array([not is_small(model) for model in rows["model"]], dtype=bool)
    ]
    rules = (
        () if any(not is_small(one.row["model"]) for one in answered) else rules_for(_situation(large, needs), large)
    )
    return Advice(rankings, rules, [*_notes(rows, needs, bool(answered)), *_elsewhere(experiments, rows, needs)])


def _asked(experiments: pandas.DataFrame, needs: Needs) -> pandas.DataFrame:
    """The rows of what was asked for, without those whose settings were changed on the command line."""
    rows = ~experiments["modified"]
    for key in _SELECTIONS:
        if getattr(needs, key):
            rows &= experiments[key].eq(getattr(needs, key))
    return experiments[rows]


_SELECTIONS = ("family", "task", "subset", "model", "hardware")


def _closeness(rows: pandas.DataFrame, needs: Needs) -> tuple:
    """The order of groups: small test models last, then profiles, then by distance to the size asked for."""
    first, size = rows.iloc[0], rows["total_params"].max()
    away = -size if needs.model_params is None else abs(math.log(size / needs.model_params)) if size > 0 else math.nan
    away = math.inf if math.isnan(away) else away
    return is_small(first["model"]), bool(first["profile"]), away, -int(rows["ranked"].sum())


def _ranking(name: str, rows: pandas.DataFrame, needs: Needs, places: Mapping[str, int], columns: Runs) -> Ranking:
    done, first = rows[rows["status"].eq("success")], rows.iloc[0]
    found, entrants = Ranking(group_label([first]), name, first), []
    failed = rows[rows["status"].ne("success")]
    others: dict[str, list[str]] = {}
    for row in failed.itertuples():
        others.setdefault(row.experiment, []).append(f"but {row.seeds} more of its runs ended as {row.status}")
    for row in _records(done):
        where = [places[source] for source, _ in row["runs"]]
        runs = {key: values[where] for key, values in columns.items()}
        reasons = [reason for need in NEEDS if (reason := need(row, runs, needs)) is not None]
        texts = [one.text for one in reasons] + others.get(row["experiment"], [])
        if any(one.met is False for one in reasons):
            found.dropped.append(Candidate(row, runs, texts, figure(row, needs)))
        elif lacks := [*(one.text for one in reasons if one.met is None), *missing(row, needs)]:
            found.unknown.append(Candidate(row, runs, list(dict.fromkeys((*lacks, *texts)))))
        else:
            entrants.append(Candidate(row, runs, texts))
    for row in _records(failed[~failed["experiment"].isin(done["experiment"])].drop_duplicates("experiment")):
        statuses = set(failed.loc[failed["experiment"] == row["experiment"], "status"])
        reason = ended(row, statuses, done, needs)
        (found.dropped if reason.met is False else found.unknown).append(Candidate(row, {}, [reason.text]))
    found.kept = in_order(entrants, done, needs)
    found.notes = _group_notes(found, needs)
    return found


def _records(rows: pandas.DataFrame) -> list[Row]:
    """Far quicker to look into than rows of a frame; "place" is the index there."""
    return [row | {"place": place} for place, row in zip(rows.index, rows.to_dict("records"), strict=True)]


def _group_notes(found: Ranking, needs: Needs) -> list[str]:
    row, notes = found.row, []
    if is_small(row["model"]):
        size = f" of {row['total_params']:,.0f} parameters" if row["total_params"] > 0 else ""
        notes.append(
            f"A small test model{size} that ships with this project: it shows that methods run, not which is best."
        )
    if row["profile"]:
        notes.append("Random weights: memory and speed are measured here, quality is not.")
        if needs.priority == "quality":
            notes.append("Listed by memory, not ranked: which of them is best was not measured.")
    if row["protocol"] == FOREIGN:
        notes.append(
            "Published elsewhere: how it trained and tested is not known here, so it is never ranked with ours."
        )
    if needs.gpu_memory is not None and row["hardware"].startswith("cpu"):
        notes.append("Measured on a CPU: memory is that of the process, and a GPU will need another amount.")
    elif needs.gpu_memory is not None:
        notes.append(
            f"Of {human_bytes(needs.gpu_memory)}, {human_bytes(HEADROOM)} are left to the CUDA context, which the "
            f"figures leave out: {human_bytes(max(usable(row, needs.gpu_memory), 0))} count. They "
            "hold for the batch size and lengths that were measured; others need more or less."
        )
    if not found.kept:
        notes.append("Measured, but nothing is known to meet what you need.")
    if needs.priority == "quality" and (uneven := unequal_budgets(one.row["budget"] for one in found.kept)):
        notes.append(f"{uneven.capitalize()}: a part of a difference may be the tuning.")
    if any(one.tied for one in found.kept):
        notes.append("Not distinguishable is not equal: more seeds could tell them apart.")
    return notes


def _notes(rows: pandas.DataFrame, needs: Needs, answered: bool) -> list[str]:
    notes = []
    if rows.empty:
        what = ", ".join(filter(None, (getattr(needs, key) for key in _SELECTIONS))) or "anything"
        notes.append(f"Nothing was measured on {what}: what follows is no measurement.")
    elif not answered:
        notes.append(f"No measurement here answers with an order by {PRIORITIES[needs.priority]}.")
    sizes = rows.groupby("model")["total_params"].max().dropna() if len(rows) else pandas.Series(dtype=float)
    if needs.model_params is not None and len(sizes):
        away = numpy.log(sizes / needs.model_params).abs()
        if away.min() > math.log(NEAR):
            nearest = away.idxmin()
            notes.append(
                f"Nothing was measured on a model of about {_billions(needs.model_params)} parameters. The nearest is "
                f"{nearest} with {_billions(sizes[nearest])}: memory and time grow with size, and orders may change."
            )
    if needs.dataset_rows is not None and not rows.empty:
        notes.append("Scores were measured with each task's own number of training rows; yours may give others.")
    return notes


def _billions(count: float) -> str:
    return f"{count / 1e9:.3g} billion" if count >= 1e8 else f"{count / 1e6:.3g} million"


def _elsewhere(experiments: pandas.DataFrame, rows: pandas.DataFrame, needs: Needs) -> list[str]:
    """Where the same was measured, if only the hardware is another."""
    if not needs.hardware or not rows.empty:
        return []
    others = sorted(_asked(experiments, replace(needs, hardware=""))["hardware"].unique())
    return (
        [f"Measured on {', '.join(others)}: memory and speed there are no measurement of {needs.hardware}."]
        if others
        else []
    )


def _situation(rows: pandas.DataFrame, needs: Needs) -> Situation:
    params = needs.model_params
    if params is None and needs.model and rows["total_params"].notna().any():
        params = float(rows["total_params"].max())
    space = room(needs.gpu_memory, params)
    if needs.gpu_memory is not None and rows["memory_train"].min() > needs.gpu_memory:
        space = "does not fit"
    return Situation(needs.family, space, needs.priority, needs.dataset_rows)


def context(view: View, data: Data) -> dict[str, Any]:
    """What the page's template needs."""
    try:
        needs = needs_of(view)
    except quantity.QuantityError as error:
        return {"problem": str(error), "advice": Advice([], (), []), "needs": Needs(), "foreseen": []}
    advice = advise(data.experiments, needs, data.runs)
    return {"problem": "", "advice": advice, "needs": needs, "why": reasons,
            "foreseen": foreseen(data.forecasts, data.experiments, needs)}  # fmt: skip
