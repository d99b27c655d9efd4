"""What a visitor of Choose needs, and whether a measured experiment meets it: met, missed, or not to be told."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
import pandas

from harness.dashboard import quantity
from harness.dashboard.data import PROFILE
from harness.dashboard.evidence import FULL
from harness.dashboard.methods import plain
from harness.dashboard.view import View
from harness.result.columns import COLUMNS, format_value
from harness.result.units import human_bytes, human_seconds

NO_SLOWDOWN = 1.05  # of the base's decoding time: what timing cannot tell from none
HEADROOM = quantity.GIB  # of a card, for the CUDA context and what else the allocator's figures leave out
SHARED = "not measured: times, since another process used the same GPU"


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


def ended(row: Row, statuses: set[str], done: pandas.DataFrame, needs: Needs) -> Reason:
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
