"""Which method for me? What was measured, filtered by what is needed, in order of what matters most, with reasons.

A need is one small function: met, missed, or (None) not to be told from what was measured, and a sentence with figure
and limit. Every group of experiments with comparable costs has a ranking of its own. What nothing was measured on gets
the field's rules of thumb (harness/dashboard/rules.py), labelled as such.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy
import pandas

from harness.dashboard import quantity
from harness.dashboard.data import PROFILE, column_of_row, is_small
from harness.dashboard.estimates import ratio
from harness.dashboard.evidence import FULL, group_label
from harness.dashboard.methods import plain
from harness.dashboard.rules import Rule, Situation, room, rules_for
from harness.dashboard.view import FAMILIES, PRIORITIES, View
from harness.result.columns import COLUMNS, format_value
from harness.result.comparable import FOREIGN
from harness.result.experiments import fill_intervals
from harness.result.intervals import MOST
from harness.result.ties import BEST, Entry, compare_with_best
from harness.result.tuning import unequal_budgets
from harness.result.units import human_bytes, human_seconds

OUT_OF_SCOPE = ("vision", "diffusion")
NO_SLOWDOWN = 1.05  # of the base's decoding time: what timing cannot tell from none
HEADROOM = quantity.GIB  # of a card, for the CUDA context and what else the allocator's figures leave out
NEAR = 1.5  # a base model larger or smaller by less than this factor is about the size that was asked for
SHARED = "not measured: times, since another process used the same GPU"
_KEYS = {"quality": "score", "memory": "memory_train", "speed": "train_tokens_per_second", "storage": "storage"}


@dataclass(frozen=True)
class Needs:
    """What a visitor says; empty texts and None mean no restriction. Figures are bytes, seconds and counts."""

    family: str = ""
    task: str = ""
    subset: str = ""
    model: str = ""
    hardware: str = ""
    model_params: float | None = None
    gpu_memory: float | None = None
    dataset_rows: float | None = None
    max_storage: float | None = None
    max_train_time: float | None = None
    inference: str = "any"
    priority: str = "quality"


Row = dict[str, Any]  # of the frame of experiments
Runs = Mapping[str, numpy.ndarray]  # of one row, values by column in the order of the seeds


class Reason(NamedTuple):
    """Whether a need is met, None where that cannot be told, and why."""

    met: bool | None
    text: str


@dataclass(frozen=True)
class Candidate:
    """A row of the frame of experiments with its reasons; `tied` None where nothing tells it from the best or not."""

    row: Row
    runs: Runs
    reasons: list[str]
    figure: str = ""
    rank: int | None = None
    tied: bool | None = None


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


def needs_of(view: View) -> Needs:
    """What the fields say; a number of parameters stands for another base model than the chosen one.

    Raises:
        QuantityError: one cannot be read.
    """
    names = ("model_params", "gpu_memory", "dataset_rows", "max_storage", "max_train_time")
    figures = {name: quantity.read(view, name) for name in names}
    chosen: dict[str, str] = {}
    if view.scope == "selection":
        task, _, subset = view.task.removeprefix(PROFILE).partition("/")
        chosen = {"task": task, "subset": subset, "hardware": view.hardware}
        chosen |= {} if figures["model_params"] else {"model": view.model}
    return Needs(**chosen, **figures, family=view.family, inference=view.inference, priority=view.priority)


def advise(experiments: pandas.DataFrame, needs: Needs, runs: pandas.DataFrame) -> Advice:
    """Ranks what was measured, by what is needed; the frames are those of by_experiment and of to_frame."""
    rows = _asked(experiments, needs)
    places = {source: place for place, source in enumerate(runs["source"])}
    columns = {
        key: runs[key].to_numpy()
        for key in (*_KEYS.values(), "seed", "item_scores", "overhead_merged", "overhead_unmerged")
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
    found, entrants = Ranking(group_label(first), name, first), []
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
            found.dropped.append(Candidate(row, runs, texts, _figure(row, needs)))
        elif lacks := [*(one.text for one in reasons if one.met is None), *_missing(row, needs)]:
            found.unknown.append(Candidate(row, runs, list(dict.fromkeys((*lacks, *texts)))))
        else:
            entrants.append(Candidate(row, runs, texts))
    for row in _records(failed[~failed["experiment"].isin(done["experiment"])].drop_duplicates("experiment")):
        statuses = set(failed.loc[failed["experiment"] == row["experiment"], "status"])
        reason = _ended(row, statuses, done, needs)
        (found.dropped if reason.met is False else found.unknown).append(Candidate(row, {}, [reason.text]))
    found.kept = _in_order(entrants, done, needs)
    found.notes = _group_notes(found, needs)
    return found


def _records(rows: pandas.DataFrame) -> list[Row]:
    """Far quicker to look into than rows of a frame; "place" is the index there."""
    return [row | {"place": place} for place, row in zip(rows.index, rows.to_dict("records"), strict=True)]


# Needs


def usable(row: Row, limit: float) -> float:
    """What of a card's memory a run may use; the figure of a CPU is that of the whole process already."""
    return limit if row["hardware"].startswith("cpu") else limit - HEADROOM


def _memory(row: Row, runs: Runs, needs: Needs) -> Reason | None:
    """The most that a run needed: a method that fits with one seed of three does not fit."""
    if needs.gpu_memory is None:
        return None
    known = runs["memory_train"][~numpy.isnan(runs["memory_train"])]
    if not len(known):
        return Reason(None, "not measured: memory in training")
    value, limit = float(known.max()), usable(row, needs.gpu_memory)
    figure, given = _shown(value, max(limit, 0))
    most = f", the most of {len(known)} runs" if len(known) > 1 else ""
    where = "given" if limit == needs.gpu_memory else f"that a card of {human_bytes(needs.gpu_memory)} leaves"
    how = "more than" if value > limit else "within"
    return Reason(value <= limit, f"needs {figure} in training{most}, {how} the {given} {where}")


def _storage(row: Row, runs: Runs, needs: Needs) -> Reason | None:
    limit, value = needs.max_storage, float(row["storage"])
    if limit is None:
        return None
    if math.isnan(value):
        return Reason(None, "not measured: storage")
    figure, given = _shown(value, limit)
    return Reason(value <= limit, f"stores {figure}, {'more than' if value > limit else 'within'} the {given} given")


def _shown(value: float, limit: float) -> tuple[str, str]:
    """Both for people, to the byte where they would look the same."""
    shown = human_bytes(value), human_bytes(limit)
    return shown if shown[0] != shown[1] or value == limit else (f"{value:,.0f} B", f"{limit:,.0f} B")


def _time(row: Row, runs: Runs, needs: Needs) -> Reason | None:
    limit, rate = needs.max_train_time, float(row["samples_per_second"])
    if limit is None:
        return None
    if row["shared_device"]:
        return Reason(None, SHARED)
    if needs.dataset_rows is not None:
        if math.isnan(rate) or not rate:
            return Reason(None, "not measured: training rows per second, which your number of rows would need")
        seconds = needs.dataset_rows / rate
        how = f"in one pass over your {needs.dataset_rows:,.0f} rows, at the {rate:.3g} rows per second measured"
    else:
        seconds, how = float(row["train_time"]), "on the task's own rows"
        if row["profile"] or math.isnan(seconds):
            return Reason(None, "not measured: time of a whole training; give your number of rows to reckon it")
    text = f"trains for {human_seconds(seconds)} {how}, {'more than' if seconds > limit else 'within'}"
    return Reason(seconds <= limit, f"{text} the {human_seconds(limit)} given")


def _answers(row: Row, runs: Runs, needs: Needs) -> Reason | None:
    if needs.inference == "adapters" and is_full(row):
        return Reason(False, "full fine-tuning makes a whole model of its own, no adapter beside others on one base")
    if needs.inference != "fast":
        return None
    key, value = overhead(row, needs)
    if row["shared_device"]:
        return Reason(None, SHARED)
    if math.isnan(value):
        return Reason(None, "not measured: speed of answers")
    state = "as trained" if is_full(row) else key.removeprefix("overhead_")
    if state == "unmerged" and math.isnan(float(row["overhead_merged"])):
        state += " (merged was not measured: not every method and base can be)"
    text = f"takes {format_value(COLUMNS[key], value)} the base's time for its answers, {state}"
    how = "more than" if value > NO_SLOWDOWN else "within"
    return Reason(value <= NO_SLOWDOWN, f"{text}, {how} the {NO_SLOWDOWN:.2f}× allowed")


NEEDS: tuple[Callable[[pandas.Series, Runs, Needs], Reason | None], ...] = (_memory, _storage, _time, _answers)


def is_full(row: Row | pandas.Series) -> bool:
    """Full fine-tuning, which trains and stores the whole model."""
    return plain(row["method"]) == plain(FULL)


def overhead(row: Row, needs: Needs) -> tuple[str, float]:
    """Column and value of the decoding time over the base's that counts; NaN where it was not measured.

    Merging is used where it helps, unless many adapters share one base. Full fine-tuning has nothing to merge.
    """
    merged, unmerged = float(row["overhead_merged"]), float(row["overhead_unmerged"])
    if needs.inference == "adapters" or is_full(row) or math.isnan(merged) or unmerged <= merged:
        return "overhead_unmerged", unmerged
    return "overhead_merged", merged


def _ended(row: Row, statuses: set[str], done: pandas.DataFrame, needs: Needs) -> Reason:
    """Out of memory says something only of devices that have no more than that one did."""
    if "out_of_memory" in statuses:
        text = f"ran out of memory in training on {row['hardware']}"
        limit = None if needs.gpu_memory is None else usable(row, needs.gpu_memory)
        if limit is None or done["memory_train"].gt(limit).any():
            return Reason(False, text)
        return Reason(None, f"not measured: {text}, and nothing here tells whether that had less than you have")
    if "diverged" in statuses:
        return Reason(False, "diverged in training: its loss was no number")
    return Reason(None, f"not measured: its run ended as {' and '.join(sorted(statuses))}")


# Order


def _deciding(row: Row, needs: Needs) -> tuple[str, float]:
    """Column and value of what matters most; quality of random weights is not there, their memory stands for it."""
    if needs.priority == "answers":
        return overhead(row, needs)
    key = "memory_train" if row["profile"] and needs.priority == "quality" else _KEYS[needs.priority]
    return key, float(row[key])


def _missing(row: Row, needs: Needs) -> list[str]:
    """What is missing to place the experiment."""
    if row["differs"]:
        return [f"not ranked: its seeds differ in {row['differs']}, they are not one experiment"]
    if needs.priority == "quality" and not row["direction_known"]:
        return [f"not ranked: nobody told whether a higher {row['metric']} is better"]
    if needs.priority in ("speed", "answers") and row["shared_device"]:
        return [SHARED]
    lacking = math.isnan(_deciding(row, needs)[1]) and not (row["profile"] and needs.priority == "quality")
    return [f"not measured: {PRIORITIES[needs.priority]}"] if lacking else []


def _figure(row: Row, needs: Needs) -> str:
    """The deciding figure with its interval or the number of runs, for people."""
    key, value = _deciding(row, needs)
    if key == "score":
        column = column_of_row(COLUMNS["score"], row)
        shown = format_value(column, value)
        if math.isnan(row["score_low"]):
            return f"{shown}, {'no interval computed' if row['item_scores'] is not None else row['interval']}"
        low, high = (format_value(column, row[end]) for end in ("score_low", "score_high"))
        return f"{shown}, 95 % interval {low} to {high} ({row['interval']})"
    runs = "one run" if row["seeds"] == 1 else f"median of {row['seeds']} runs"
    return f"{COLUMNS[key].label} {format_value(COLUMNS[key], value)}, {runs}"


def _in_order(entrants: list[Candidate], done: pandas.DataFrame, needs: Needs) -> list[Candidate]:
    """Best first, equal ones by name; profiles are listed by memory where quality matters most, not ranked."""

    def place(choice: Candidate) -> tuple[float, str]:
        key, value = _deciding(choice.row, needs)
        higher = bool(choice.row["higher_is_better"]) if key == "score" else COLUMNS[key].better == "higher"
        return (math.inf if math.isnan(value) else -value if higher else value), choice.row["experiment"]

    listed = sorted(entrants, key=place)
    filled = fill_intervals(done.loc[[one.row["place"] for one in listed[:MOST]]])
    unranked = needs.priority == "quality" and any(one.row["profile"] for one in listed)
    ties = [(None, "")] * len(listed) if unranked else _ties(listed, needs)
    kept = []
    for position, (one, (tied, why)) in enumerate(zip(listed, ties, strict=True), start=1):
        row = (
            one.row
            if position > MOST
            else one.row | dict(filled.loc[one.row["place"], ["score_low", "score_high", "interval"]])
        )
        reasons, rank = [*one.reasons, *([why] if why else [])], None if unranked else position
        kept.append(Candidate(row, one.runs, reasons, _figure(row, needs), rank, tied))
    return kept


def _ties(listed: Sequence[Candidate], needs: Needs) -> list[tuple[bool | None, str]]:
    """For each, best first, whether it is distinguishable from the best, None where that cannot be told, and why."""
    if not listed:
        return []
    best, found = listed[0], []
    if needs.priority != "quality":
        found = [_tie_of_figure(best, one, needs) for one in listed]
    else:
        entries = [
            Entry(one.row["experiment"], one.runs["seed"], one.runs["score"], list(one.runs["item_scores"]))
            for one in listed
        ]
        for one, tie in zip(listed, compare_with_best(entries, bool(best.row["higher_is_better"])), strict=True):
            if tie.why == BEST:
                found.append((True, "the same score as the best"))
            elif tie.tied:
                found.append((True, f"not distinguishable from the best with {_seeds(one, best)}: {tie.why}"))
            else:
                found.append((False if tie.tested else None, tie.why))
    first = "the only one left" if len(listed) == 1 else "best of those that meet your needs"
    return [(None, first), *found[1:]]


def _tie_of_figure(best: Candidate, other: Candidate, needs: Needs) -> tuple[bool | None, str]:
    """Storage is a fact; times and memory differ between runs."""
    key = _deciding(other.row, needs)[0]
    if key == "storage":
        equal = float(other.row[key]) == float(best.row[key])
        return equal, "stores as much as the best" if equal else "stores more than the best"
    values = [[float(value) for value in one.runs[_deciding(one.row, needs)[0]] if value > 0] for one in (other, best)]
    if min(map(len, values)) < 2:
        return None, "one run: nothing tells how much runs differ"
    found = ratio(*values, unit="runs")
    text = f"{COLUMNS[key].label} over the best's: {found.text('times')}"
    if found.low <= 1 <= found.high:
        return True, f"not distinguishable from the best with {_seeds(other, best)}: {text}"
    return False, text


def _seeds(one: Candidate, other: Candidate) -> str:
    counts = sorted({len(choice.runs["seed"]) for choice in (one, other)})
    return "one seed" if counts == [1] else f"{' and '.join(map(str, counts))} seeds"


# What else must be said


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
    if needs.family in OUT_OF_SCOPE and rows.empty:
        notes.append(f"Nothing was measured here on any {FAMILIES[needs.family]}.")
    elif rows.empty:
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


def context(view: View, experiments: pandas.DataFrame, runs: pandas.DataFrame) -> dict[str, Any]:
    """What the page's template needs."""
    try:
        needs = needs_of(view)
    except quantity.QuantityError as error:
        return {"problem": str(error), "advice": Advice([], (), []), "needs": Needs()}
    return {"problem": "", "advice": advise(experiments, needs, runs), "needs": needs}
