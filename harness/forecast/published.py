"""The forecast held against published measurements; prints the table of docs/forecast.md, or writes it there.

    python -m harness.forecast.published            # the table
    python -m harness.forecast.published --write    # into docs/forecast.md, between its two marks

docs/forecast.json holds what was measured, and the settings where they differ from this project's.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Any

import torch
from torch import nn

from harness.adapter_config import Adapter
from harness.batches import BUCKET_BATCHES
from harness.errors import run_command
from harness.experiment import CONTENT, ROOT, Experiment, read_experiment
from harness.forecast.forecast import varied
from harness.forecast.gpus import find_gpu
from harness.forecast.lengths import length, middles
from harness.forecast.shapes import Shapes
from harness.models import quiet_libraries
from harness.task import Row, load_task
from harness.workloads import Workload, find_workload

PAGE = ROOT / "docs" / "forecast.md"
DATA = PAGE.with_suffix(".json")
BEGIN, END = "<!-- python -m harness.forecast.published -->", "<!-- end -->"
BUCKETS = 40  # of rows, whose lengths stand for a run's
PARTS = 2  # stretches between two emptyings of the cache, over whose steps memory is averaged
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Held:
    """One published run: GiB reserved on average as measured and as forecast, and operations for each token."""

    name: str
    measured: float
    forecast: float
    flops: float
    seconds: float | None
    note: str

    @property
    def error(self) -> float:
        """Of the forecast, as a share of what was measured."""
        return self.forecast / self.measured - 1


class KeepsOutputs:
    """A loss that keeps the outputs of a step until those of the next one are there, as the published loop does.

    With them it keeps the cache of keys and values, which it leaves switched on in training.
    """

    def __init__(self) -> None:
        self._outputs: Any = None

    def __call__(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The model's own loss."""
        self._outputs = model(**inputs)
        return self._outputs.loss


def hold(run: Mapping[str, Any], base: Experiment, empties_every: int) -> Held:
    """Forecasts one published run, in the order of batches and with the emptying of the cache of its loop."""
    experiment = varied(base, **run["params"]) if run["params"] else base
    experiment = dataclasses.replace(experiment, adapter_config=run["adapter_config"])
    task = load_task(experiment.task_folder)
    kind: type[Workload] = find_workload(task.workload, task.where)
    shapes = Shapes(experiment, Adapter.of(experiment), kind, loss=KeepsOutputs())
    rows = kind.random_splits(task, None, experiment.params).train[1:]  # the first is the longest there is
    batches = list(_long_to_short(shapes.workload, rows, experiment.params.batch_size))
    common = shapes.workload.collate(middles(batches, 1)[0])
    flops = shapes.train(common).flops / common.work
    windows = [batches[start : start + empties_every] for start in range(0, len(batches), empties_every)]
    standing = middles(windows, PARTS, key=lambda window: length(window[0]))
    reserved = statistics.fmean(size for window in standing for size in _reserved(shapes, window))
    return Held(run["name"], run["gib"], reserved / GIB, flops, run.get("seconds"), run.get("note", ""))


def _reserved(shapes: Shapes, window: Sequence[Sequence[Sized]]) -> Iterator[int]:
    """Bytes after each step from one emptying of the cache to the next."""
    for step, batch in enumerate(window):
        yield shapes.train(shapes.workload.collate(batch), empties=step == 0).peak.reserved


def _long_to_short(workload: Workload, rows: Sequence[Row], batch_size: int) -> Iterator[list[Sized]]:
    size = batch_size * BUCKET_BATCHES
    for start in range(0, BUCKETS * size, size):
        bucket = sorted(map(workload.encode, rows[start : start + size]), key=len, reverse=True)
        yield from (bucket[place : place + batch_size] for place in range(0, size, batch_size))


def hold_all(names: Sequence[str] = ()) -> Iterator[Held]:
    """Every published run, or those of the names."""
    data = json.loads(DATA.read_text())
    base = read_experiment(ROOT / CONTENT / data["settings"])
    for run in data["runs"]:
        if not names or run["name"] in names:
            yield hold(run, base, data["empties_every"])


def table(held: Sequence[Held]) -> str:
    """Markdown: measured, forecast, error and why; below it the median error, and the shares of the GPU's peak."""
    data = json.loads(DATA.read_text())
    lines = ["| published run | measured, GiB | forecast, GiB | error | |", "|---|---|---|---|---|"]
    lines += [f"| {one.name} | {one.measured:.1f} | {one.forecast:.1f} | {100 * one.error:+.1f} % | {one.note} |"
              for one in held]  # fmt: skip
    median = statistics.median(abs(one.error) for one in held)
    lines += ["", f"Median error {100 * median:.1f} %. Measured: {data['source']}.", ""]
    lines += ["| published run | tokens/s | GFLOP a token | share of the peak |", "|---|---|---|---|"]
    for one in held:
        if one.seconds is not None:
            rate = data["tokens"] / one.seconds
            share = rate * one.flops / find_gpu(data["gpu"]).peak
            lines.append(f"| {one.name} | {rate:,.0f} | {one.flops / 1e9:.1f} | {100 * share:.1f} % |")
    return "\n".join(lines)


def start(argv: Sequence[str] | None) -> int:
    """Prints the table, or writes it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.forecast.published", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into docs/forecast.md")
    arguments = parser.parse_args(argv)
    quiet_libraries()
    text = table(list(hold_all()))
    if arguments.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(start, sys.argv[1:]))
