"""Which method for me? Experiments ranked from measurements, with why each was kept or dropped.

Every group of experiments with comparable costs has a ranking of its own. What nothing was measured on gets the
field's rules of thumb (harness/dashboard/rules.py), labelled as such.
"""

from dataclasses import replace

import pandas

from harness.dashboard.advice import Advice, Candidate, Ranking, RowPlace
from harness.dashboard.constraints import check
from harness.dashboard.evidence import group_label
from harness.dashboard.needs import Needs
from harness.dashboard.order import Entrant, Runs, figure, in_order, missing, ties_with_best
from harness.dashboard.remarks import asked, on_all, on_group
from harness.dashboard.rules import Situation, room, rules_for
from harness.result.experiments import fill_intervals

INTERVALS = 30  # bootstrap intervals take a tenth of a second each: those of the first places are computed


def advise(experiments: pandas.DataFrame, needs: Needs, runs: pandas.DataFrame) -> Advice:
    """Ranks what was measured, by what is needed; the frames are those of by_experiment and of the loaded runs."""
    rows = asked(experiments, needs)
    by_source = Runs(runs)
    parts = sorted(rows.groupby("cost_group", sort=True), key=lambda part: bool(part[1]["profile"].iloc[0]))
    rankings = tuple(_ranking(str(name), part, needs, by_source) for name, part in parts)
    answered = any(one.rank is not None for ranking in rankings for one in ranking.kept)
    measured = rows[rows["status"].eq("success")]
    rules = () if answered else rules_for(_situation(measured, needs), measured)
    return Advice(rankings, rules, tuple(on_all(experiments, rows, needs, answered)))


def _ranking(group: str, rows: pandas.DataFrame, needs: Needs, by_source: Runs) -> Ranking:
    done = rows[rows["status"].eq("success")]
    others = _other_ends(rows)
    entrants, unknown, dropped = [], [], []
    for _, row in done.iterrows():
        runs, place = by_source.of(row), RowPlace.of(row)
        checks = check(row, runs, needs)
        reasons = (*(one.text for one in checks), *others.get(row["experiment"], []))
        if any(one.met is False for one in checks):
            dropped.append(Candidate(row["experiment"], "dropped", reasons, figure(row, needs), place=place))
        elif lacks := [*(one.text for one in checks if one.met is None), *missing(row, needs)]:
            texts = tuple(dict.fromkeys((*lacks, *reasons)))
            unknown.append(Candidate(row["experiment"], "not measured", texts, place=place))
        else:
            entrants.append(Entrant(row, runs, reasons))
    for choice in _without_success(rows[~rows["experiment"].isin(done["experiment"])], done, needs):
        (dropped if choice.verdict == "dropped" else unknown).append(choice)
    kept = _kept(entrants, done, needs)
    notes = tuple(on_group(rows.iloc[0], kept, needs))
    return Ranking(group_label(rows.iloc[0]), group, kept, tuple(unknown), tuple(dropped), notes)


def _kept(entrants: list[Entrant], done: pandas.DataFrame, needs: Needs) -> tuple[Candidate, ...]:
    """In the order of the priority; random weights, which have no quality, are not ranked by it."""
    ordered = in_order(entrants, needs)
    filled = fill_intervals(done.loc[[entrant.row.name for entrant in ordered[:INTERVALS]]])
    unranked = needs.priority == "quality" and any(one.row["profile"] for one in entrants)
    ties = [(None, "")] * len(ordered) if unranked else ties_with_best(ordered, needs)
    choices = []
    for position, (entrant, (tied, why)) in enumerate(zip(ordered, ties, strict=True), start=1):
        row = filled.loc[entrant.row.name] if position <= INTERVALS else entrant.row
        reasons = (*entrant.reasons, *([why] if why else []))
        choice = Candidate(row["experiment"], "kept", reasons, place=RowPlace.of(row))
        shown = figure(row, replace(needs, priority="memory") if unranked else needs)
        rank = None if unranked else position
        choices.append(replace(choice, headline=shown, rank=rank, tied=tied))
    return tuple(choices)


def _other_ends(rows: pandas.DataFrame) -> dict[str, list[str]]:
    """By experiment, runs that ended early, to be said beside those that did not."""
    ends: dict[str, list[str]] = {}
    for row in rows[rows["status"].ne("success")].itertuples():
        ends.setdefault(row.experiment, []).append(f"but {row.seeds} more of its runs ended as {row.status}")
    return ends


def _without_success(rows: pandas.DataFrame, done: pandas.DataFrame, needs: Needs) -> list[Candidate]:
    """What ended early. Out of memory says something only of devices that have no more than that one did."""
    choices = []
    for name, of_one in rows.groupby("experiment", sort=True):
        statuses, where, place = set(of_one["status"]), of_one["hardware"].iloc[0], RowPlace.of(of_one.iloc[0])
        if "out_of_memory" in statuses:
            text = f"ran out of memory in training on {where}"
            larger = needs.gpu_memory is not None and not done["memory_train"].gt(needs.gpu_memory).any()
            if larger:
                text = f"not measured: {text}, and nothing here tells whether that had less than you have"
            verdict = "not measured" if larger else "dropped"
        elif "diverged" in statuses:
            verdict, text = "dropped", "diverged in training: its loss was no number"
        else:
            verdict, text = "not measured", f"not measured: its run ended as {' and '.join(sorted(statuses))}"
        choices.append(Candidate(str(name), verdict, (text,), place=place))
    return choices


def _situation(rows: pandas.DataFrame, needs: Needs) -> Situation:
    params = needs.model_params
    if params is None and needs.model and rows["total_params"].notna().any():
        params = float(rows["total_params"].max())
    space = room(needs.gpu_memory, params)
    if needs.gpu_memory is not None and rows["memory_train"].min() > needs.gpu_memory:
        space = "does not fit"
    return Situation(needs.family, space, needs.priority, needs.dataset_rows)
