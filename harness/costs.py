"""The Markdown table of what methods cost: memory and its parts, speed, storage, inference, forgetting.

`python -m harness.table <Task> embedded --costs` prints it for results, `python -m harness.profiles` for profiles.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from harness.results import Result
from harness.units import human_bytes

Cell = Callable[[Result], Any]


def _parts(name: str) -> Cell:
    return lambda result: getattr(result.memory_parts, name)


def _overhead(name: str) -> Cell:
    return lambda result: getattr(getattr(result.inference, name, None), "median", None)


# Header, what to take from a result, how to write the median over seeds.
COLUMNS: dict[str, tuple[Cell, Callable[[float], str]]] = {
    "trained parameters": (lambda result: result.train_info.num_trainable_params, "{:,.0f}".format),
    "stored": (lambda result: result.train_info.num_stored_params, "{:,.0f}".format),
    "storage": (lambda result: result.train_info.file_size, human_bytes),
    "peak memory": (lambda result: getattr(result.memory.get("train"), "reserved", None), human_bytes),
    "base weights": (_parts("base_weights"), human_bytes),
    "trained weights": (_parts("trained_weights"), human_bytes),
    "gradients": (_parts("gradients"), human_bytes),
    "optimizer": (_parts("optimizer_state"), human_bytes),
    "remainder": (_parts("remainder"), human_bytes),
    "tokens/s": (lambda result: result.speed.train_tokens_per_second, "{:,.0f}".format),
    "MFLOP/token": (lambda result: _scaled(result.compute.flops_per_token, 1e-6), "{:,.2f}".format),
    "of matmul rate": (lambda result: _scaled(result.compute.matmul_share, 100), "{:.0f} %".format),
    "decoding time": (_overhead("overhead_unmerged"), "{:.2f}".format),
    "merged": (_overhead("overhead_merged"), "{:.2f}".format),
    "forgetting": (lambda result: getattr(result.forgetting, "forgetting", None), "{:+.3f}".format),
}


def costs_table(results: Sequence[Result]) -> str:
    """Markdown for results of one base model and device: medians over seeds, least memory first.

    "decoding time" is that of the adapter as trained over the base's, "merged" that of the merged weights over the
    base's; "forgetting" is in nats per token. A column that no result has a figure for is left out; an experiment that
    ran out of memory says so.
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
        cells.append(write(statistics.median(values)) if values else "not measured")
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
