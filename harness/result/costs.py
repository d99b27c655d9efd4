"""The Markdown table of what methods cost: memory and its parts, speed, storage, inference, forgetting.

`python -m harness.table <Task> embedded --costs` prints it for results, `python -m harness.profiles` for profiles.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from harness.result.schema import Overhead, Result
from harness.result.units import human_bytes

Take = Callable[[Result], Any]
Write = Callable[[list[Any]], str]


def _part(name: str) -> Take:
    return lambda result: getattr(result.memory_parts, name)


def _overhead(name: str) -> Take:
    return lambda result: getattr(result.inference, name, None)


def _median(form: Callable[[float], str]) -> Write:
    return lambda values: form(statistics.median(values))


def _with_range(overheads: list[Overhead]) -> str:
    """Median over seeds of the medians over rounds, and the range of all rounds."""
    low, high = min(one.lowest for one in overheads), max(one.highest for one in overheads)
    return f"{statistics.median(one.median for one in overheads):.2f} ({low:.2f} to {high:.2f})"


_count, _bytes = _median("{:,.0f}".format), _median(human_bytes)
# Header, what to take from a result, how to write the values of all seeds.
COLUMNS: dict[str, tuple[Take, Write]] = {
    "trained parameters": (lambda result: result.train_info.num_trainable_params, _count),
    "stored": (lambda result: result.train_info.num_stored_params, _count),
    "storage": (lambda result: result.train_info.file_size, _bytes),
    "peak memory": (lambda result: getattr(result.memory.get("train"), "reserved", None), _bytes),
    "base weights": (_part("base_weights"), _bytes),
    "trained weights": (_part("trained_weights"), _bytes),
    "gradients": (_part("gradients"), _bytes),
    "optimizer": (_part("optimizer_state"), _bytes),
    "remainder": (_part("remainder"), _bytes),
    "tokens/s": (lambda result: result.speed.train_tokens_per_second, _count),
    "MFLOP/token": (lambda result: _scaled(result.compute.flops_per_token, 1e-6), _median("{:,.2f}".format)),
    "of matmul rate": (lambda result: _scaled(result.compute.matmul_share, 100), _median("{:.0f} %".format)),
    "decoding time": (_overhead("overhead_unmerged"), _with_range),
    "merged": (_overhead("overhead_merged"), _with_range),
    "forgetting": (lambda result: getattr(result.forgetting, "forgetting", None), _median("{:+.3f}".format)),
}


def costs_table(results: Sequence[Result]) -> str:
    """Markdown for results of one base model and device: medians over seeds, least memory first.

    "decoding time" is that of the adapter as trained over the base's, "merged" that of the merged weights over the
    base's, with the range of all rounds; "forgetting" is in nats per token. A column that no result has a figure for
    is left out; an experiment that ran out of memory says so.
    """
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.run_info.experiment_name].append(result)
    measured = {name for name, (take, _) in COLUMNS.items() if any(take(result) is not None for result in results)}
    shown = [name for name in COLUMNS if name in measured or (name == "peak memory" and _ran_out(results))]
    lines = [f"| experiment | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    ordered = sorted(groups.items(), key=lambda item: (_peak(item[1]), item[0]))
    return "\n".join([*lines, *(f"| {name} | {' | '.join(_cells(group, shown))} |" for name, group in ordered)])


def _cells(group: Sequence[Result], shown: Sequence[str]) -> list[str]:
    cells = []
    for name in shown:
        take, write = COLUMNS[name]
        values = [value for value in map(take, group) if value is not None]
        cells.append(write(values) if values else "not measured")
        if name == "peak memory" and _ran_out(group):
            cells[-1] = "out of memory"
    return cells


def _peak(group: Sequence[Result]) -> float:
    values = [result.memory["train"].reserved for result in group if "train" in result.memory]
    return float("inf") if _ran_out(group) or not values else statistics.median(values)


def _ran_out(group: Sequence[Result]) -> bool:
    return any(result.train_info.status == "out_of_memory" for result in group)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
