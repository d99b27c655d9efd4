"""The Markdown table of a task's results: one line per experiment, mean and spread over seeds.

    python -m harness.table <Task> embedded

prints the results whose experiment (<method>/<name>) contains "embedded", best first, those in results/ that are not
committed included. Results of different protocols or hardware make tables of their own; so do subsets, and one more
table has their means.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from harness.experiment import ROOT
from harness.results import Result, read_result
from harness.units import human_bytes

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
    return "\n".join([*lines, *map(_line, ordered), _base_line(results), *_majority_line(results)])


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


def _base_line(results: Sequence[Result]) -> str:
    (score, invalid), *others = {(result.quality.base_score, result.quality.base_invalid_rate) for result in results}
    if others:
        raise ValueError("these results were measured on different base models; make a table for each")
    return f"| *untouched base model* | | 0 | | | | {100 * score:.1f} | | | {100 * invalid:.1f} |"


def _majority_line(results: Sequence[Result]) -> list[str]:
    share = results[0].quality.majority_baseline
    if share is None:
        return []
    return [f"| *always the most frequent answer* | | 0 | | | | {100 * share:.1f} | | | 0.0 |"]


def means_table(results: Sequence[Result]) -> str:
    """Markdown for results of several subsets: each subset's mean over seeds, and the mean of these means.

    The spread is over seeds too, of each seed's mean over subsets; an experiment that lacks a subset has no mean.
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
    cells = [f"{statistics.fmean(seeds.values()):.1f}" if seeds else "" for seeds in by_subset.values()]
    complete = set.intersection(*(set(seeds) for seeds in by_subset.values()))
    by_seed = [statistics.fmean(seeds[seed] for seeds in by_subset.values()) for seed in sorted(complete)]
    return (
        cells,
        statistics.fmean(by_seed) if by_seed else None,
        statistics.stdev(by_seed) if len(by_seed) > 1 else None,
    )


def load_groups(task: str, pattern: str, root: Path = ROOT) -> dict[tuple[int, str, str], list[Result]]:
    """The results of a task, whoever made them, by (protocol, hardware, processor)."""
    groups: dict[tuple[int, str, str], list[Result]] = defaultdict(list)
    for path in sorted((root / "results" / task).glob("*/*.json")):
        result = read_result(path)
        if pattern in result.run_info.experiment_name:
            groups[result.protocol, result.hardware["slug"], result.hardware["cpu"]].append(result)
    return dict(groups)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m harness.table", description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiment's name")
    arguments = parser.parse_args()
    groups = load_groups(arguments.task, arguments.pattern)
    if not groups:
        parser.error(f"no results of {arguments.task} match; run an experiment first: python run.py --help")
    for (protocol, hardware, processor), group in groups.items():
        subsets = sorted({result.task.subset or "" for result in group})
        for subset in subsets:
            part = [result for result in group if (result.task.subset or "") == subset]
            seeds = ", ".join(str(seed) for seed in sorted({result.seed for result in part}))
            name = f"{subset}: protocol" if subset else "Protocol"
            print(f"{name} {protocol}, {hardware} ({processor}), seeds {seeds}, {part[0].task.test_rows} test rows:\n")
            print(results_table(part) + "\n")
        if len(subsets) > 1:
            print(f"Mean over subsets, {group[0].task.metric} %:\n\n{means_table(group)}\n")


if __name__ == "__main__":
    main()
