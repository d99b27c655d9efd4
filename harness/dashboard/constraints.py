"""Whether an experiment meets what is needed: one sentence for each need, with its figure and the limit.

A need whose figure was not measured is neither met nor missed, and its sentence says what is missing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy
import pandas

from harness.dashboard.evidence import plain
from harness.dashboard.needs import Needs
from harness.result.columns import COLUMNS, format_value
from harness.result.units import human_bytes, human_seconds

FULL = plain("full-finetuning")
SHARED = "not measured: times, since another process used the same GPU"


@dataclass(frozen=True)
class Check:
    """One need: met, missed, or (None) not to be told from what was measured; and why."""

    met: bool | None
    text: str


def check(row: pandas.Series, runs: Mapping[str, numpy.ndarray], needs: Needs) -> list[Check]:
    """Every need that was given, against one row of the frame of experiments and the runs that it is made of."""
    return list(_checks(row, runs, needs))


def is_full(row: pandas.Series) -> bool:
    """Full fine-tuning, which trains and stores the whole model."""
    return plain(row["method"]) == FULL


def overhead(row: pandas.Series, needs: Needs) -> tuple[str, float]:
    """Column and value of the decoding time over the base's that counts; NaN where it was not measured.

    Merging is used where it helps, unless many adapters share one base. Full fine-tuning has nothing to merge.
    """
    merged, unmerged = float(row["overhead_merged"]), float(row["overhead_unmerged"])
    if needs.inference == "adapters" or is_full(row) or math.isnan(merged) or unmerged <= merged:
        return "overhead_unmerged", unmerged
    return "overhead_merged", merged


def _checks(row: pandas.Series, runs: Mapping[str, numpy.ndarray], needs: Needs) -> Iterator[Check]:
    if needs.gpu_memory is not None:
        yield _memory(runs["memory_train"], needs.gpu_memory)
    if needs.max_storage is not None:
        yield _storage(float(row["storage"]), needs.max_storage)
    if needs.max_train_seconds is not None:
        yield _time(row, needs)
    if needs.inference == "adapters" and is_full(row):
        yield Check(False, "full fine-tuning makes a whole model of its own, no adapter beside others on one base")
    elif needs.overhead_limit is not None:
        yield _overhead(row, needs)


def _memory(values: numpy.ndarray, limit: float) -> Check:
    """The most that a run needed: a method that fits with one seed of three does not fit."""
    known = values[~numpy.isnan(values)]
    if not len(known):
        return Check(None, "not measured: memory in training")
    value, (figure, given) = float(known.max()), _shown(float(known.max()), limit)
    most = f", the most of {len(known)} runs" if len(known) > 1 else ""
    if value > limit:
        return Check(False, f"needs {figure} in training{most}, more than the {given} given")
    return Check(True, f"needs {figure} in training{most}, within the {given} given")


def _storage(value: float, limit: float) -> Check:
    if math.isnan(value):
        return Check(None, "not measured: storage")
    figure, given = _shown(value, limit)
    if value > limit:
        return Check(False, f"stores {figure}, more than the {given} given")
    return Check(True, f"stores {figure}, within the {given} given")


def _shown(value: float, limit: float) -> tuple[str, str]:
    """Both for people, to the byte where they would look the same."""
    shown = human_bytes(value), human_bytes(limit)
    return shown if shown[0] != shown[1] or value == limit else (f"{value:,.0f} B", f"{limit:,.0f} B")


def _time(row: pandas.Series, needs: Needs) -> Check:
    limit = needs.max_train_seconds
    if row["shared_device"]:
        return Check(None, SHARED)
    if needs.dataset_rows is not None:
        rate = float(row["samples_per_second"])
        if math.isnan(rate) or not rate:
            return Check(None, "not measured: training rows per second, which your number of rows would need")
        seconds = needs.dataset_rows * needs.epochs / rate
        passes = "one pass" if needs.epochs == 1 else f"{needs.epochs:g} passes"
        how = f"in {passes} over your {needs.dataset_rows:,} rows, at the {rate:.3g} rows per second measured"
    else:
        seconds = float(row["train_time"])
        if row["profile"] or math.isnan(seconds):
            return Check(None, "not measured: time of a whole training; give your number of rows to reckon it")
        how = "on the task's own rows"
    figure = f"trains for {human_seconds(seconds)} {how}"
    if seconds > limit:
        return Check(False, f"{figure}, more than the {human_seconds(limit)} given")
    return Check(True, f"{figure}, within the {human_seconds(limit)} given")


def _overhead(row: pandas.Series, needs: Needs) -> Check:
    key, value = overhead(row, needs)
    limit = needs.overhead_limit
    if row["shared_device"]:
        return Check(None, SHARED)
    if math.isnan(value):
        return Check(None, "not measured: speed of answers")
    state = "as trained" if is_full(row) else key.removeprefix("overhead_")
    if state == "unmerged" and needs.inference != "adapters" and math.isnan(float(row["overhead_merged"])):
        state += " (merged was not measured: not every method and base can be)"
    figure = f"takes {format_value(COLUMNS[key], value)} the base's time for its answers, {state}"
    if value > limit:
        return Check(False, f"{figure}, more than the {limit:.2f}× allowed")
    return Check(True, f"{figure}, within the {limit:.2f}× allowed")
