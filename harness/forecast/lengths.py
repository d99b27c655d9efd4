"""Which batches stand for a run, by the task's lengths and the order that batches come in.

What decides whether a run fits is its longest batch. What it holds on average is another matter: torch's allocator
keeps what the longest batch took since its cache was last emptied, so each step counts with the longest batch since
then. A run of ours empties it at every evaluation; its batches come as harness/batches.py deals them.
"""

from collections.abc import Callable, Sequence, Sized
from itertools import islice
from typing import TypeVar

from harness.batches import effective_batches
from harness.params import TrainingParams
from harness.task import Row
from harness.workloads import Workload

ROWS = 2000  # encoded to learn how long batches are
Samples = list[Sized]
T = TypeVar("T", bound=Sequence[Sized])


def length(batch: Sequence[Sized]) -> int:
    """Of a batch after padding, in the samples' units."""
    return max(map(len, batch))


def since_emptied(batches: Sequence[T], interval: int) -> list[T]:
    """For each step the longest batch since the cache was emptied, which happens after every so many steps."""
    held: list[T] = []
    for step, batch in enumerate(batches):
        keeps = step % interval and length(held[-1]) >= length(batch)
        held.append(held[-1] if keeps else batch)
    return held


def middles(batches: Sequence[T], parts: int, key: Callable[[T], int] = length) -> list[T]:
    """The middle one by length of each of so many equal parts, shortest part first."""
    ordered = sorted(batches, key=key)
    return [ordered[(2 * part + 1) * len(ordered) // (2 * parts)] for part in range(parts)]


def sampled_batches(workload: Workload, rows: Sequence[Row], params: TrainingParams) -> list[Samples]:
    """The first batch of each optimizer step of a run's beginning, up to its first evaluation or ROWS rows."""
    effective = params.batch_size * params.gradient_accumulation_steps
    steps = max(min(params.eval_steps, min(ROWS, len(rows)) // effective), 1)
    samples = {index: workload.encode(row) for index, row in enumerate(rows[: steps * effective])}
    stream = effective_batches(samples, len(samples), params)
    return [step[0] for step in islice(stream, steps)]
