"""The Markdown table of a task's results: one line per experiment, mean and spread over seeds.

    python -m harness.table <Task> embedded

prints the results whose experiment (<method>/<name>) contains "embedded", best first, those in results/ that are not
committed included; with --costs, what each of them costs (costs.py). Results of different protocols, base
models or hardware make tables of their own; so do subsets, and one more table has their means.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from harness.experiment import ROOT
from harness.result.costs import costs_table
from harness.result.schema import Result
from harness.result.store import read_result
from harness.result.units import human_bytes

COLUMNS = ["experiment", "lr", "trained parameters", "storage", "peak memory", "tokens/s"]
COLUMNS += ["{metric} %", "std", "by seed", "invalid %"]


def results_table(results: Sequence[Result]) -> str:
    """Markdown for results of one task, protocol and hardware.

    The spread is the sample standard deviation over seeds; memory and tokens/s are medians over seeds.
    """
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.run_info.experiment_name].append(result)
    ordered = sorted(groups.values(), key=lambda group: -_mean_score(group))
    lines = [f"| {' | '.join(COLUMNS)} |".format(metric=results[0].task.metric), "|---" * len(COLUMNS) + "|"]
    return "\n".join([*lines, *map(_line, ordered), *_base_lines(results), *_majority_line(results)])


def _mean_score(group: Sequence[Result]) -> float:
    return statistics.fmean(result.quality.test_score for result in group)


def _line(group: list[Result]) -> str:
    group = sorted(group, key=lambda result: result.seed)
    scores = [100 * result.quality.test_score for result in group]
    info = group[0].train_info
    cells = [
        group[0].run_info.experiment_name,
        f"{group[0].run_info.train_config['optimizer_kwargs']['lr']:g}",
        f"{info.num_trainable_params:,}",
        human_bytes(info.file_size),
        human_bytes(statistics.median(result.memory["train"].reserved for result in group)),
        f"{statistics.median(result.speed.train_tokens_per_second for result in group):,.0f}",
        f"{statistics.fmean(scores):.1f}",
        f"{statistics.stdev(scores):.1f}" if len(scores) > 1 else "one seed",
        " / ".join(f"{score:.1f}" for score in scores),
        f"{100 * statistics.fmean(result.quality.invalid_rate for result in group):.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _base_lines(results: Sequence[Result]) -> list[str]:
    """One line for each precision that the base model was scored in."""
    scores: dict[str, dict[float, float]] = defaultdict(dict)
    for result in results:
        config, quality = result.run_info.train_config, result.quality
        if quality.base_score is not None:
            precision = config["dtype"] + (" with autocast" if config["use_amp"] else "")
            scores[precision][quality.base_score] = quality.base_invalid_rate
    lines = []
    for precision, found in scores.items():
        name = "*untouched base model*" if len(scores) == 1 else f"*untouched base model, {precision}*"
        score, invalid = statistics.fmean(found), statistics.fmean(found.values())
        lines.append(f"| {name} | | 0 | | | | {100 * score:.1f} | | | {100 * invalid:.1f} |")
    return lines


def _majority_line(results: Sequence[Result]) -> list[str]:
    share = results[0].quality.majority_baseline
    if share is None:
        return []
    return [f"| *always the most frequent answer* | | 0 | | | | {100 * share:.1f} | | | 0.0 |"]


def means_table(results: Sequence[Result]) -> str:
    """Markdown for results of several subsets: each subset's mean over seeds, and the mean of these means.

    Only seeds that every subset has count. The spread is over seeds too, of each seed's mean over subsets; an
    experiment that lacks a subset has no mean.
    """
    subsets = list(dict.fromkeys(result.task.subset for result in results))
    scores: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: {subset: {} for subset in subsets})
    for result in results:
        scores[result.run_info.experiment_name][result.task.subset][result.seed] = 100 * result.quality.test_score
    lines = [f"| experiment | {' | '.join(subsets)} | mean | std |", "|---" * (len(subsets) + 3) + "|"]
    rows = [(name, *_means(by_subset)) for name, by_subset in scores.items()]
    for name, cells, mean, spread in sorted(rows, key=lambda row: -1 if row[2] is None else row[2], reverse=True):
        summary = ["" if value is None else f"{value:.1f}" for value in (mean, spread)]
        lines.append(f"| {' | '.join([name, *cells, *summary])} |")
    return "\n".join(lines)


def _means(by_subset: dict[str, dict[int, float]]) -> tuple[list[str], float | None, float | None]:
    complete = set.intersection(*(set(seeds) for seeds in by_subset.values()))
    shown = [{seed: seeds[seed] for seed in complete} or seeds for seeds in by_subset.values()]
    cells = [f"{statistics.fmean(seeds.values()):.1f}" if seeds else "" for seeds in shown]
    by_seed = [statistics.fmean(seeds[seed] for seeds in by_subset.values()) for seed in sorted(complete)]
    return (
        cells,
        statistics.fmean(by_seed) if by_seed else None,
        statistics.stdev(by_seed) if len(by_seed) > 1 else None,
    )


def load_groups(task: str, pattern: str, root: Path = ROOT) -> dict[tuple[int, str, str, str], list[Result]]:
    """The results of a task, whoever made them, by (protocol, hardware, processor, base model)."""
    groups: dict[tuple[int, str, str, str], list[Result]] = defaultdict(list)
    for path in sorted((root / "results" / task).glob("*/*.json")):
        result = read_result(path)
        if pattern in result.run_info.experiment_name:
            model = result.run_info.train_config["model_id"]
            groups[result.protocol, result.hardware["slug"], result.hardware["cpu"], model].append(result)
    return dict(groups)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m harness.table", description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiment's name")
    parser.add_argument("--costs", action="store_true", help="memory, speed, storage and inference instead of scores")
    arguments = parser.parse_args()
    groups = load_groups(arguments.task, arguments.pattern)
    if not groups:
        parser.error(f"no results of {arguments.task} match; run an experiment first: python run.py --help")
    for (protocol, hardware, processor, model), group in groups.items():
        subsets = sorted({result.task.subset or "" for result in group})
        for subset in subsets:
            part = [result for result in group if (result.task.subset or "") == subset]
            seeds = ", ".join(str(seed) for seed in sorted({result.seed for result in part}))
            name = f"{subset}: protocol" if subset else "Protocol"
            print(f"{name} {protocol}, {model}, {hardware} ({processor}), seeds {seeds}, "
                  f"{part[0].task.test_rows} test rows:\n")  # fmt: skip
            print((costs_table if arguments.costs else results_table)(part) + "\n")
        if len(subsets) > 1 and not arguments.costs:
            print(f"Mean over subsets, {group[0].task.metric} %:\n\n{means_table(group)}\n")
