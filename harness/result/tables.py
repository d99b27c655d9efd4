"""The Markdown tables of a task's results: one line per experiment, mean and spread over seeds."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.result.columns import COLUMNS
from harness.result.comparable import (
    MACHINE,
    SCORES,
    Machine,
    Record,
    common_machine,
    differing_setting,
    on_machine,
    one_per_seed,
    runs_by_experiment,
)
from harness.result.costs import cell, costs_table, measured, of_one_piece, title
from harness.result.metrics import is_share
from harness.result.subsets import mean_over_subsets
from harness.result.tuning import unequal_budgets

_SIZES = ("learning_rate", "trainable_params", "headless_params", "storage")
_COSTS = ("memory_train", "train_tokens_per_second")


def results_table(records: Sequence[Record]) -> str:
    """Markdown for runs with comparable scores, best first, and below it whose memory and speed stand there.

    The spread is the sample standard deviation over seeds, wherever they were run. Memory and tokens/s are medians
    over the runs of one machine that has every experiment, and left out where there is none.
    """
    lines, sign = runs_by_experiment(records), _sign(records)
    machine = common_machine(list(lines.values()))
    keys = [*_SIZES, *(_COSTS if machine else ())]
    keys = [key for key in keys if not key.startswith("headless") or measured(key, records)]
    further = [name for name in dict.fromkeys(name for record in records for name in record["further"])
               if name != records[0]["metric"]]  # fmt: skip
    heads = ["experiment", *(title(key, records) for key in keys)]
    heads += [f"{records[0]['metric']} %", "std", "by seed", *map(_head, further), "invalid %", "tuning"]
    counted = {name: one_per_seed(runs) for name, runs in lines.items()}
    body = [
        [
            of_one_piece(name_of(name, group), lines[name]),
            *(cell(key, on_machine(lines[name], machine) if COLUMNS[key].machine else group) for key in keys),
            *_scores(group, further),
            group[0]["budget"],
        ]
        for name, group in sorted(counted.items(), key=lambda item: (-sign * _mean_score(item[1]), item[0]))
    ]
    for name, score, invalid in [*_base(records), *_majority(records)]:
        row = [name, *[""] * (len(heads) - 1)]
        row[1 + keys.index("trainable_params")], row[1 + len(keys)], row[-2] = "0", score, invalid
        body.append(row)
    return "\n\n".join(filter(None, [markdown(heads, body), where_costs_are_from(machine, records)]))


def where_costs_are_from(machine: Machine | None, records: Sequence[Record]) -> str:
    """A sentence on memory and speeds beside these runs' scores; empty where it is plain from the title."""
    if machine is None:
        return "Memory and speeds are left out: no one machine ran all of these experiments."
    if len(on_machine(records, machine)) == len(records):
        return ""
    return f"Memory and speeds are of the runs on one machine: {', '.join(filter(None, machine))}."


def name_of(name: str, group: Sequence[Record]) -> str:
    """With a word where the seeds are of no one experiment, so that their mean says nothing."""
    setting = differing_setting(record["settings"] for record in group)
    return f"{name} (its seeds differ in {setting})" if setting else name


def _sign(records: Sequence[Record]) -> int:
    return 1 if records[0]["higher_is_better"] else -1


def _mean_score(group: Sequence[Record]) -> float:
    return statistics.fmean(record["score"] for record in group)


def _head(name: str) -> str:
    return f"{name} %" if is_share(name, ours=True) else name


def _further(name: str, group: Sequence[Record]) -> str:
    """The mean of a further figure over seeds."""
    values = [record["further"][name] for record in group if name in record["further"]]
    if not values:
        return "not measured"
    mean = statistics.fmean(values)
    return f"{100 * mean:.1f}" if is_share(name, ours=True) else f"{mean:.3g}"


def _scores(group: Sequence[Record], further: Sequence[str]) -> list[str]:
    scores = [100 * record["score"] for record in group]
    invalid = [100 * record["invalid_rate"] for record in group if not math.isnan(record["invalid_rate"])]
    return [
        f"{statistics.fmean(scores):.1f}",
        f"{statistics.stdev(scores):.1f}" if len(scores) > 1 else "one seed",
        " / ".join(f"{score:.1f}" for score in scores),
        *(_further(name, group) for name in further),
        f"{statistics.fmean(invalid):.1f}" if invalid else "not measured",
    ]


def _base(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """One line for each precision that the base model was scored in."""
    scores: dict[str, dict[float, float]] = defaultdict(dict)
    for record in records:
        if not math.isnan(record["base_score"]):
            scores[record["precision"]][record["base_score"]] = record["base_invalid_rate"] or 0.0
    lines = []
    for precision, found in scores.items():
        name = "*untouched base model*" if len(scores) == 1 else f"*untouched base model, {precision}*"
        score, invalid = statistics.fmean(found), statistics.fmean(found.values())
        lines.append((name, f"{100 * score:.1f}", f"{100 * invalid:.1f}"))
    return lines


def _majority(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    share = records[0]["majority"]
    return [] if math.isnan(share) else [("*always the most frequent answer*", f"{100 * share:.1f}", "0.0")]


def markdown(heads: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table of these columns."""
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("|" + "|".join(f" {part} " if part else " " for part in row) + "|" for row in body)])


def means_table(records: Sequence[Record]) -> str:
    """Markdown for results of several subsets: each subset's mean over seeds, and the mean of these means.

    Only seeds that every subset has count. The spread is over seeds too, of each seed's mean over subsets; an
    experiment that lacks a subset has no mean.
    """
    subsets = list(dict.fromkeys(record["subset"] for record in records))
    rows, sign = [], _sign(records)
    for name, group in runs_by_experiment(records).items():
        scores = {
            subset: {
                one["seed"]: 100 * one["score"]
                for one in one_per_seed(run for run in group if run["subset"] == subset)
            }
            for subset in subsets
        }
        found = mean_over_subsets(scores)
        alone = {key: statistics.fmean(one.values()) for key, one in scores.items() if one}
        shown = found.by_subset if found else alone
        cells = [f"{shown[subset]:.1f}" if subset in shown else "" for subset in subsets]
        cells += [f"{found.mean:.1f}" if found else ""]
        cells += [f"{statistics.stdev(found.by_seed.values()):.1f}" if found and len(found.by_seed) > 1 else ""]
        rows.append((sign * found.mean if found else -math.inf, [name, *cells]))
    heads = ["experiment", *subsets, "mean", "std"]
    return markdown(heads, [row for _, row in sorted(rows, key=lambda row: row[0], reverse=True)])


def task_tables(records: Sequence[Record], costs: bool = False) -> str:
    """Every table of one task's runs, each under a line that says of what it is.

    Args:
        records: of any protocols, base models, machines and subsets.
        costs: memory, speed, storage and inference instead of scores.
    """
    parts = []
    apart = [key for key in SCORES if key not in ("subset", "data")]
    for whole in partition(records, apart):
        groups = partition(whole, SCORES)
        for group in groups:
            parts += _costs_of(group) if costs else _scores_of(group)
        subsets = {record["subset"] for record in whole}
        if len(subsets) > 1 and len(subsets) == len(groups) and not costs:
            parts += [f"Mean over subsets, {whole[0]['metric']} %:", means_table(whole)]
    return "\n\n".join(parts)


def _scores_of(group: Sequence[Record]) -> list[str]:
    uneven = unequal_budgets(record["budget"] for record in group)
    return [title_of(group), results_table(group), *([f"Beware: {uneven}."] if uneven else [])]


def _costs_of(group: Sequence[Record]) -> list[str]:
    """Of the machine that ran every experiment; where there is none, a table for each machine."""
    machine = common_machine(list(runs_by_experiment(group).values()))
    shown = [on_machine(group, machine)] if machine else partition(group, MACHINE)
    return [text for part in shown for text in (title_of(part), costs_table(part))]


def partition(records: Sequence[Record], keys: Iterable[str]) -> list[list[Record]]:
    """The records by what they have under these keys."""
    groups: dict[tuple, list[Record]] = defaultdict(list)
    keys = tuple(keys)
    for record in records:
        groups[tuple(record[key] for key in keys)].append(record)
    return [groups[key] for key in sorted(groups, key=str)]


def title_of(part: Sequence[Record]) -> str:
    """Of which runs a table is: protocol, base model, machines, seeds, rows."""
    first = part[0]
    machines = dict.fromkeys(f"{one['hardware']} ({one['cpu']})" if one["cpu"] else one["hardware"] for one in part)
    seeds = ", ".join(f"{seed:.0f}" for seed in sorted({record["seed"] for record in part}))
    name = f"{first['subset']}: protocol" if first["subset"] else "Protocol"
    rows = "" if first["test_rows"] is None else f", {first['test_rows']:.0f} test rows"
    return f"{name} {first['protocol']}, {first['model']}, {' and '.join(machines)}, seeds {seeds}{rows}:"
