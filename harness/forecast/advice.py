"""What fits on a GPU, and what would change what does not; every figure is a step followed anew, none a guess."""

from typing import Protocol

from harness.errors import UserError
from harness.forecast.shapes import Followed, UnknownShapesError
from harness.params import TrainingParams
from harness.result.forecasts import Change, ForecastPeak

LARGEST = 1024  # rows of a batch that are looked at
TRIES = 6  # steps followed to find the largest batch
ROWS_EVAL = 4


class Steps(Protocol):
    """What advice asks of a run: harness/forecast/forecast.py's Run."""

    params: TrainingParams

    def step(self, rows: int | None = None) -> Followed:
        """A training step with batches of so many rows of the longest sample."""

    def answer(self, rows: int | None = None) -> Followed:
        """An evaluation batch of so many rows."""

    def varied(self, **changes: object) -> "Steps":
        """The run with other parameters."""


def largest_batch(run: Steps, known: ForecastPeak, room: int) -> int:
    """The largest batch_size whose step stays within `room` bytes; 0 where none does, LARGEST where all looked at do.

    Memory is nearly a straight line in the batch size, so that a few steps find where it crosses.
    """
    fits, too_many = (known.rows, LARGEST + 1) if known.reserved <= room else (0, known.rows)
    points, rows = {known.rows: known.reserved}, 2 * known.rows if fits else 1
    for _ in range(TRIES):
        if too_many <= fits + 1:
            break
        points[rows] = run.step(rows).peak.reserved
        fits, too_many = (rows, too_many) if points[rows] <= room else (fits, rows)
        rows = _crossing(points, room, fits, too_many)
    return fits


def _crossing(points: dict[int, int], room: int, fits: int, too_many: int) -> int:
    """Where the line through the two points nearest to the room reaches it, between what fits and what does not."""
    near = sorted(points, key=lambda rows: abs(points[rows] - room))[:2]
    slope = (points[near[0]] - points[near[1]]) / (near[0] - near[1])
    aim = near[0] + int((room - points[near[0]]) // slope) if slope > 0 else too_many - 1
    return min(max(aim, fits + 1), too_many - 1)


def changes_of(run: Steps, context: int, training: ForecastPeak, answer: ForecastPeak) -> list[Change]:
    """Everything of a short list that would make the run need less, and what it would need, least first.

    Args:
        run: that does not fit.
        context: bytes to be added to every peak.
        training, answer: the peaks of its longest step and of evaluation.
    """
    params, needs = run.params, {}
    before, worst = training.reserved, answer.reserved
    rows = params.batch_size * params.gradient_accumulation_steps
    if params.batch_size > 1:
        accumulating = run.varied(batch_size=1, gradient_accumulation_steps=rows)
        needs[f"batch_size 1 with gradient_accumulation_steps {rows}"] = max(_steady(accumulating), worst)
    if params.batch_size_eval > ROWS_EVAL and worst > before:
        needs[f"batch_size_eval {ROWS_EVAL}"] = max(before, run.answer(ROWS_EVAL).peak.reserved)
    for what, changes in _variants(params).items():
        try:
            variant = run.varied(**changes)
            needs[what] = max(_steady(variant), variant.answer().peak.reserved)
        except (UserError, UnknownShapesError):
            continue  # the folder or the method rules it out
    found = [Change(what=what, needed=context + need) for what, need in needs.items() if need < max(before, worst)]
    return sorted(found, key=lambda change: change.needed)


def _variants(params: TrainingParams) -> dict[str, dict[str, object]]:
    shorter = params.max_seq_length // 2
    variants: dict[str, dict[str, object]] = {}
    if not params.gradient_checkpointing:
        variants["gradient_checkpointing"] = {"gradient_checkpointing": True}
    if not params.full_finetuning and params.dtype not in ("int4", "int8"):
        variants["an nf4 base (dtype int4)"] = {"dtype": "int4"}
    if (params.max_target_length or 0) < shorter >= 8:
        variants[f"max_seq_length {shorter}"] = {"max_seq_length": shorter}
    return variants


def _steady(run: Steps) -> int:
    """Of a step after the one that makes the optimizer's state."""
    run.step()
    return run.step().peak.reserved
