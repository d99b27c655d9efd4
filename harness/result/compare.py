"""Is the difference real? Two experiments' test scores, with intervals, a test and a verdict.

    python -m harness.compare lora/embedded-llama-rank8 ia3/embedded-llama

compares the methods with their seeds as units (uncertainty.py), for every task and subset that both have
results of. Seeds need not match, since Welch's test pairs nothing. Where one has a single seed, a paired test compares
two trained models instead, and says so. Different protocols and different hardware are compared apart; different base
models or data never.
"""

import argparse
import glob
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from harness.errors import UserError, did_you_mean
from harness.experiment import CONTENT, ROOT, display_path
from harness.result.schema import Result
from harness.result.store import read_result
from harness.result.uncertainty import (
    CONFIDENCE,
    Comparison,
    Interval,
    compare_items,
    compare_seeds,
    item_interval,
    seed_interval,
)

Setting = tuple[str, str, int, str]  # task, subset or "", protocol, hardware


@dataclass
class Side:
    """One of the two experiments: its results by setting, in the order of their seeds, and what was left out."""

    name: str
    task: str | None = None
    results: dict[Setting, list[Result]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def parse_experiment(text: str) -> Side:
    """`<method>/<name>`, or a path that ends so: relative or absolute, from the root, a task or anywhere else.

    The folder need not exist: results may outlive it, or come from another checkout.
    """
    given = Path(text).expanduser()
    parts = (given.resolve() if given.is_dir() else given).parts
    if len(parts) < 2:
        raise UserError(f"{text}: expected <method>/<name> or {CONTENT}/<Task>/experiments/<method>/<name>")
    task = parts[-4] if len(parts) >= 4 and parts[-3] == "experiments" else None
    return Side("/".join(parts[-2:]), task)


def find_results(side: Side, folders: Sequence[Path], task: str | None, subset: str | None) -> None:
    """Reads the side's results: successful, unmodified ones; of a seed found twice, the one in the earlier folder.

    Raises:
        UserError: there are none, or a file is not a result.
    """
    prefix = glob.escape(side.name.replace("/", "--"))
    paths = [path for folder in folders for path in sorted(folder.glob(f"*/*/{prefix}--*.json"))]
    found = [(path, _read(path)) for path in paths]
    if not found:
        files = [path.name.split("--") for folder in folders for path in folder.glob("*/*/*--*.json")]
        known = {"/".join(parts[:2]) for parts in files}
        remedy = did_you_mean(side.name, known) if known else "run an experiment first: python run.py --help"
        raise UserError(f"{side.name}: no results in {', '.join(map(display_path, folders))}; {remedy}")
    for path, result in found:
        setting = (result.task.name, result.task.subset or "", result.protocol, result.hardware["slug"])
        if task not in (None, setting[0]) or subset not in (None, setting[1]):
            continue
        of_setting = side.results.setdefault(setting, [])
        if result.train_info.status != "success" or result.overrides or not result.quality.test_scores:
            side.notes.append(f"{display_path(path)} left out: not a successful, unmodified run")
        elif result.seed in {other.seed for other in of_setting}:
            side.notes.append(f"{display_path(path)} left out: an earlier folder has this seed")
        else:
            of_setting.append(result)
    side.results = {key: sorted(group, key=lambda one: one.seed) for key, group in side.results.items() if group}
    if not side.results:
        have = sorted({"/".join(filter(None, (one.task.name, one.task.subset))) for _, one in found})
        wanted = "/".join(filter(None, (task, subset)))
        raise UserError(f"{side.name}: no results of {wanted or 'successful runs'}; it has some of {', '.join(have)}")


def _read(path: Path) -> Result:
    try:
        return read_result(path)
    except (ValidationError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())[:150]
        raise UserError(f"{display_path(path)}: not a result of this harness ({line} …); move it away") from None


def check_comparable(a: Sequence[Result], b: Sequence[Result]) -> None:
    """One setting's results of A and B must share base model, data and metric, and each one's seeds their settings.

    Raises:
        UserError: they do not.
    """
    everyone = [*a, *b]
    models = sorted({one.run_info.train_config["model_id"] for one in everyone})
    if len(models) > 1:
        raise UserError(f"not comparable: different base models, {' and '.join(models)}")
    same = {
        "versions of the base model": _base_version,
        "data": lambda one: (one.provenance.data_fingerprint, len(one.quality.test_scores)),
        "metrics": lambda one: (one.task.metric, one.task.higher_is_better),
    }
    for what, value in same.items():
        other = next((one for one in everyone if value(one) != value(a[0])), None)
        if other is not None:
            raise UserError(
                f"not comparable: {_origin(a[0])} and {_origin(other)} used different {what}; run one again"
            )
    for first, *others in (a, b):
        for other in others:
            key = _changed(first.run_info.train_config, other.run_info.train_config)
            key = key or _changed(first.run_info.peft_config or {}, other.run_info.peft_config or {})
            if key:
                raise UserError(f"not one experiment: {_origin(first)} and {_origin(other)} differ in {key}")


def _base_version(result: Result) -> str | None:
    sha = result.meta_info.model_info.sha or result.run_info.train_config.get("model_revision")
    return result.provenance.base_model_fingerprint or sha


def _origin(result: Result) -> str:
    commit = (result.provenance.harness_commit or "unknown")[:8]
    return f"{result.run_info.experiment_name} seed {result.seed} (commit {commit})"


def _changed(one: dict, other: dict) -> str | None:
    """A setting that tells two runs apart; one that only the newer run knows cannot."""
    return next((key for key in sorted((one.keys() & other.keys()) - {"seed"}) if one[key] != other[key]), None)


def compare_results(
    a: Sequence[Result], b: Sequence[Result], confidence: float = CONFIDENCE
) -> tuple[Comparison, tuple[Result, Result] | None]:
    """Two methods by their seeds; where one has a single seed, two models instead, which are then returned too."""
    if min(len(a), len(b)) > 1:
        return compare_seeds(_scores(a), _scores(b), confidence), None
    shared = {one.seed for one in a} & {one.seed for one in b}
    pair = tuple(next(one for one in side if not shared or one.seed in shared) for side in (a, b))
    return compare_items(*(one.quality.test_scores for one in pair), confidence), pair


def _scores(results: Sequence[Result]) -> list[float]:
    return [statistics.fmean(result.quality.test_scores) for result in results]


def section(setting: Setting, a: Sequence[Result], b: Sequence[Result], confidence: float = CONFIDENCE) -> str:
    """What the terminal shows of one setting."""
    info = a[0].task
    comparison, pair = compare_results(a, b, confidence)
    direction = "" if info.higher_is_better else ", lower is better"
    width = max(len(side[0].run_info.experiment_name) for side in (a, b))
    lines = [f"{_title(setting)}, {a[0].run_info.train_config['model_id']}: {info.metric} in %{direction}"]
    lines += [f"  {label}  {_side(side, width, confidence)}" for label, side in (("A", a), ("B", b))]
    lines.append(f"  A - B: {100 * comparison.difference:+.1f} points{_bounds(comparison, '+')}")
    if comparison.p_value is not None:
        p_value = f"p = {comparison.p_value:.3f}" if comparison.p_value >= 0.001 else "p < 0.001"
        lines[-1] += f"; {p_value}, {comparison.method} over {comparison.unit}"
    if pair is None and [one.seed for one in a] != [one.seed for one in b]:
        lines.append("  the seeds differ: all of each are used, since this test needs no pairs")
    return "\n".join([*lines, f"  {_verdict(comparison, pair, info.higher_is_better)}"])


def _title(setting: Setting) -> str:
    task, subset, protocol, hardware = setting
    return f"{'/'.join(filter(None, (task, subset)))}, protocol {protocol}, {hardware}"


def _side(results: Sequence[Result], width: int, confidence: float) -> str:
    name, scores = f"{results[0].run_info.experiment_name:{width}}", _scores(results)
    if len(scores) == 1:
        interval = item_interval(results[0].quality.test_scores, confidence)
        how = f"{interval.method} over {interval.n} items"
        return f"{name}  {100 * scores[0]:.1f}, seed {results[0].seed} alone{_bounds(interval)}, {how}"
    spread, interval = f"std {100 * statistics.stdev(scores):.1f}", seed_interval(scores, confidence)
    seeds = ", ".join(str(result.seed) for result in results)
    each = " / ".join(f"{100 * score:.1f}" for score in scores)
    return f"{name}  {100 * interval.estimate:.1f}, {spread}{_bounds(interval)}; seeds {seeds}: {each}"


def _bounds(values: Interval | Comparison, sign: str = "") -> str:
    if values.low is None:
        return ", no interval"
    return f", {100 * values.confidence:g} % interval {100 * values.low:{sign}.1f} to {100 * values.high:{sign}.1f}"


def _verdict(comparison: Comparison, pair: tuple[Result, Result] | None, higher_is_better: bool) -> str:
    better = comparison.better(higher_is_better)
    verdict = f"{better} is better" if better else "no difference seen"
    if comparison.p_value is None:
        verdict = f"not tested: {comparison.reason}"
    if pair is None:
        return verdict
    models = f"A's seed {pair[0].seed} and B's seed {pair[1].seed}"
    return f"{verdict}, of these two trained models only ({models}); more seeds would compare the methods"


def report(a: Side, b: Side, confidence: float = CONFIDENCE) -> str:
    """All settings that both have results of, then what is missing.

    Raises:
        UserError: there is no such setting, or what they have is not comparable.
    """
    both = sorted(a.results.keys() & b.results.keys())
    lacking = [
        (side, key) for side, other in ((a, b), (b, a)) for key in sorted(other.results.keys() - side.results.keys())
    ]
    missing = [f"no results of {side.name} on {_title(setting)}" for side, setting in lacking]
    if not both:
        raise UserError(f"nothing to compare: {'; '.join(missing)}; protocols and hardware are never mixed")
    for key in both:
        check_comparable(a.results[key], b.results[key])
    parts = [section(key, a.results[key], b.results[key], confidence) for key in both]
    notes = [*a.notes, *b.notes, *missing]
    if len({setting[3] for setting in a.results.keys() | b.results.keys()}) > 1:
        notes.append("results of different hardware are compared apart, though quality hardly depends on it")
    if len(both) > 1:
        chance = 100 * (1 - confidence)
        notes.append(
            f"{len(both)} comparisons: chance lets each of them see a difference in up to {chance:.3g} % of cases"
        )
    return "\n\n".join([*parts, *(["\n".join(f"note: {note}" for note in notes)] if notes else [])])


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.compare",
        description="Is the difference real? Compares the test scores of two experiments, seeds as units; results of "
        "different hardware or protocols are compared apart.",
        epilog="exit codes: 0 compared, whatever the verdict; 2 something you can put right, such as missing results",
    )
    parser.add_argument("a", metavar="A", help="<method>/<name>, or the experiment's folder")
    parser.add_argument("b", metavar="B", help="the other one")
    parser.add_argument("--task", help="compare on this task only")
    parser.add_argument("--subset", help="compare on this subset only")
    parser.add_argument(
        "--results",
        action="append",
        type=Path,
        metavar="DIR",
        help="folder of <Task>/<hardware>/*.json "
        "(default: the checkout's results/); repeatable, of a seed found twice the earlier folder's counts",
    )
    parser.add_argument(
        "--confidence", type=float, default=CONFIDENCE, help="of intervals and verdict (default: 0.95)"
    )
    return parser.parse_args(argv)


def start(arguments: argparse.Namespace) -> str:
    """What the parsed arguments ask for, as text."""
    a, b = parse_experiment(arguments.a), parse_experiment(arguments.b)
    tasks = sorted({task for task in (a.task, b.task, arguments.task) if task})
    if len(tasks) > 1:
        raise UserError(f"{arguments.a}, {arguments.b}: of different tasks, {' and '.join(tasks)}; choose one")
    if a.name == b.name:
        raise UserError(f"{a.name}: compared with itself; name two experiments")
    if not 0.5 <= arguments.confidence < 1:
        raise UserError(f"--confidence {arguments.confidence}: expected a number from 0.5 to below 1, such as 0.95")
    folders = arguments.results or [ROOT / "results"]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--results {folder}: no such folder; expected one that holds <Task>/<hardware>/*.json")
    for side in (a, b):
        find_results(side, folders, tasks[0] if tasks else None, arguments.subset)
    return report(a, b, arguments.confidence)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison and returns the exit code."""
    try:
        print(start(parse_arguments(argv)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
