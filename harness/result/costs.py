"""The Markdown table of what methods cost: memory and its parts, speed, storage, inference, forgetting.

`python -m harness.table <Task> embedded --costs` prints it for results, `python -m harness.profiles` for profiles.
"""

import math
import statistics
from collections.abc import Callable, Sequence

from harness.result.columns import COLUMNS, format_value, of_unit
from harness.result.comparable import Record, runs_by_experiment

KEYS = (
    "trainable_params", "headless_params", "stored_params", "storage", "headless_storage", "memory_train",
    "base_weights", "trained_weights", "gradients", "optimizer_state", "remainder", "train_tokens_per_second",
    "flops_per_token", "matmul_share", "overhead_unmerged", "overhead_merged", "forgetting", "drift",
)  # fmt: skip
# Where a table has room for other digits than a page, in the unit that the head names.
_WRITERS: dict[str, Callable[[float], str]] = {
    "flops_per_token": lambda value: f"{1e-6 * value:,.2f}",
    "matmul_share": lambda value: f"{100 * value:.0f} %",
    "forgetting": "{:+.3f}".format,
    "overhead_unmerged": "{:.2f}".format,
    "overhead_merged": "{:.2f}".format,
}


def costs_table(records: Sequence[Record]) -> str:
    """Markdown for runs with comparable costs: medians over seeds, least memory first.

    "decoding time" is that of the adapter as trained over the base's, "merged" that of the merged weights over the
    base's, with the range of all rounds; "forgetting" is in nats per token or a share of answers. A column that no run
    has a figure for is left out; an experiment that ran out of memory says so.
    """
    shown = [key for key in KEYS if measured(key, records) or (key == "memory_train" and _ran_out(records))]
    heads = [title(key, records) for key in shown]
    lines = [f"| experiment | {' | '.join(heads)} |", "|---" * (len(shown) + 1) + "|"]
    ordered = sorted(runs_by_experiment(records).items(), key=lambda item: (_peak(item[1]), item[0]))
    return "\n".join(
        [
            *lines,
            *(
                f"| {of_one_piece(name, group)} | {' | '.join(_cell(key, group) for key in shown)} |"
                for name, group in ordered
            ),
        ]
    )


def title(key: str, records: Sequence[Record]) -> str:
    """Of a column, in the work that the speeds of these runs count."""
    return of_unit(COLUMNS[key], records[0]["work_unit"]).title


def of_one_piece(name: str, group: Sequence[Record]) -> str:
    """The name, marked where a run was killed and went on, so that its memory and speed are of several processes."""
    return f"{name} (resumed)" if any(record["resumed"] for record in group) else name


def measured(key: str, records: Sequence[Record]) -> list[float]:
    """The values of those that have one."""
    return [record[key] for record in records if not math.isnan(record[key])]


def cell(key: str, records: Sequence[Record]) -> str:
    """The value over seeds, taken together as the column has it."""
    values = measured(key, records)
    if not values:
        return "not measured"
    value = statistics.fmean(values) if COLUMNS[key].over == "mean" else statistics.median(values)
    return _WRITERS[key](value) if key in _WRITERS else format_value(COLUMNS[key], value)


def _cell(key: str, group: Sequence[Record]) -> str:
    if key == "memory_train" and _ran_out(group):
        return "out of memory"
    ranges = [record[f"{key}_range"] for record in group] if key.startswith("overhead") else []
    known = [ends for ends in ranges if ends]
    if known and measured(key, group):
        return f"{cell(key, group)} ({min(low for low, _ in known):.2f} to {max(high for _, high in known):.2f})"
    return cell(key, group)


def _peak(group: Sequence[Record]) -> float:
    values = measured("memory_train", group)
    return math.inf if _ran_out(group) or not values else statistics.median(values)


def _ran_out(group: Sequence[Record]) -> bool:
    return any(record["status"] == "out_of_memory" for record in group)
