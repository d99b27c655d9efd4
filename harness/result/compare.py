"""Is the difference real? Two experiments' test scores, with intervals, a test and a verdict.

    python -m harness.compare lora/embedded-llama-rank8 ia3/embedded-llama

compares the methods with their seeds as units (uncertainty.py), for every task and subset that both have comparable
results of (comparable.py). Seeds need not match, since Welch's test pairs nothing. Where one has a single seed, a
paired test compares two trained models instead, and says so. Results of different machines count together and are
marked; different protocols, base models or data never do.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UserError, did_you_mean
from harness.experiment import CONTENT, display_path
from harness.result.comparable import Record, difference, differing_setting, group_of, one_per_seed, unranked
from harness.result.read import Results
from harness.result.tuning import unequal_budgets
from harness.result.uncertainty import (
    CONFIDENCE,
    Comparison,
    Interval,
    compare_items,
    compare_seeds,
    item_interval,
    p_text,
    pair_seeds,
    seed_interval,
)

Groups = dict[tuple, list[Record]]  # comparable runs


@dataclass
class Side:
    """One of the two experiments: its runs by what they can be compared with, and what was left out."""

    name: str
    task: str | None = None
    groups: Groups = field(default_factory=dict)
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


def find_results(side: Side, found: Results, folders: Sequence[Path], task: str | None, subset: str | None) -> None:
    """Takes the side's runs that are ranked: successful, unmodified ones with a score.

    Raises:
        UserError: there are none.
    """
    runs = [record for record in found.records if not record["profile"]]
    own = [record for record in runs if record["experiment"] == side.name]
    if not own:
        known = {record["experiment"] for record in runs}
        remedy = did_you_mean(side.name, known) if known else "run an experiment first: python run.py --help"
        remedy += f"; {len(found.skipped)} left out, the first: {found.skipped[0]}" if found.skipped else ""
        raise UserError(f"{side.name}: no results in {', '.join(map(display_path, folders))}; {remedy}")
    for record in sorted(own, key=lambda one: (one["hardware"], one["seed"])):
        if task not in (None, record["task"]) or subset not in (None, record["subset"]):
            continue
        if reason := unranked(record):
            side.notes.append(f"{record['source']} left out: not a successful, unmodified run ({reason})")
        else:
            side.groups.setdefault(group_of(record, "score_group"), []).append(record)
    if not side.groups:
        have = sorted({_task(record) for record in own})
        wanted = "/".join(filter(None, (task, subset)))
        raise UserError(f"{side.name}: no results of {wanted or 'successful runs'}; it has some of {', '.join(have)}")


def _task(record: Record) -> str:
    return "/".join(filter(None, (record["task"], record["subset"])))


def check_settings(runs: Sequence[Record]) -> None:
    """The runs of one experiment must share their settings.

    Raises:
        UserError: they do not.
    """
    first, *others = runs
    for other in others:
        key = differing_setting([first["settings"], other["settings"]])
        if key:
            raise UserError(f"not one experiment: {first['source']} and {other['source']} differ in {key}")


def compare_runs(
    a: Sequence[Record], b: Sequence[Record], confidence: float = CONFIDENCE
) -> tuple[Comparison, tuple[Record, Record] | None]:
    """Two methods by their seeds; where one has a single seed, two models instead, which are then returned too."""
    if min(len(a), len(b)) > 1:
        return compare_seeds(_scores(a), _scores(b), confidence), None
    places = pair_seeds([one["seed"] for one in a], [one["seed"] for one in b])
    pair = (a[places[0]], b[places[1]])
    items = [one["item_scores"] for one in pair]
    if any(one is None for one in items) or len(items[0]) != len(items[1]):
        apart, reason = pair[0]["score"] - pair[1]["score"], "one seed, and no scores of the same items"
        return Comparison(apart, None, None, None, confidence, (1, 1), "items", "", reason), pair
    return compare_items(*items, confidence), pair


def _scores(runs: Sequence[Record]) -> list[float]:
    return [run["score"] for run in runs]


def section(a: Sequence[Record], b: Sequence[Record], confidence: float = CONFIDENCE) -> str:
    """What the terminal shows of one group of comparable runs."""
    info = a[0]
    comparison, pair = compare_runs(a, b, confidence)
    direction = "" if info["higher_is_better"] else ", lower is better"
    width = max(len(side[0]["experiment"]) for side in (a, b))
    lines = [f"{_title([*a, *b])}, {info['model']}: {info['metric']} in %{direction}"]
    lines += [f"  {label}  {_side(side, width, confidence)}" for label, side in (("A", a), ("B", b))]
    lines.append(f"  A - B: {100 * comparison.difference:+.1f} points{_bounds(comparison, '+')}")
    if comparison.p_value is not None:
        lines[-1] += f"; {p_text(comparison.p_value)}, {comparison.method} over {comparison.unit}"
    if pair is None and [one["seed"] for one in a] != [one["seed"] for one in b]:
        lines.append("  the seeds differ: all of each are used, since this test needs no pairs")
    if len({one["hardware"] for one in (*a, *b)}) > 1:
        lines.append("  on different hardware: scores can be compared, memory and speed cannot")
    lines.append(f"  {_verdict(comparison, pair, info['higher_is_better'])}")
    return "\n".join([*lines, *_budgets(a[0], b[0])])


def _budgets(a: Record, b: Record) -> list[str]:
    """How each was tuned, and a warning where that is not alike; nothing where the checkout does not know one."""
    budgets = [a["budget"], b["budget"]]
    if not all(budgets):
        return []
    warning = "; a part of the difference may be the tuning" if unequal_budgets(budgets) else ""
    return [f"  tuning: A {budgets[0]}, B {budgets[1]}{warning}"]


def _title(runs: Sequence[Record]) -> str:
    machines = " and ".join(sorted({run["hardware"] for run in runs}))
    return f"{_task(runs[0])}, protocol {runs[0]['protocol']}, {machines}"


def _side(runs: Sequence[Record], width: int, confidence: float) -> str:
    name, scores = f"{runs[0]['experiment']:{width}}", _scores(runs)
    if len(scores) == 1:
        items = runs[0]["item_scores"]
        name = f"{name}  {100 * scores[0]:.1f}, seed {_seed(runs[0])} alone"
        if items is None:
            return f"{name}, no interval"
        interval = item_interval(items, confidence)
        return f"{name}{_bounds(interval)}, {interval.method} over {interval.n} items"
    spread, interval = f"std {100 * statistics.stdev(scores):.1f}", seed_interval(scores, confidence)
    seeds = ", ".join(map(_seed, runs))
    each = " / ".join(f"{100 * score:.1f}" for score in scores)
    return f"{name}  {100 * interval.estimate:.1f}, {spread}{_bounds(interval)}; seeds {seeds}: {each}"


def _seed(run: Record) -> str:
    return "unknown" if math.isnan(run["seed"]) else f"{run['seed']:.0f}"


def _bounds(values: Interval | Comparison, sign: str = "") -> str:
    if values.low is None:
        return ", no interval"
    return f", {100 * values.confidence:g} % interval {100 * values.low:{sign}.1f} to {100 * values.high:{sign}.1f}"


def _verdict(comparison: Comparison, pair: tuple[Record, Record] | None, higher_is_better: bool) -> str:
    better = comparison.better(higher_is_better)
    verdict = f"{better} is better" if better else "no difference seen"
    if comparison.p_value is None:
        verdict = f"not tested: {comparison.reason}"
    if pair is None:
        return verdict
    models = f"A's seed {_seed(pair[0])} and B's seed {_seed(pair[1])}"
    return f"{verdict}, of these two trained models only ({models}); more seeds would compare the methods"


def report(a: Side, b: Side, confidence: float = CONFIDENCE) -> str:
    """Every group of comparable runs that both have some of, then what is missing.

    Raises:
        UserError: there is none, or seeds of one side are not of one experiment.
    """
    both = [key for key in a.groups if key in b.groups]
    missing = [*_missing(a, b), *_missing(b, a)]
    if not both:
        raise UserError(f"nothing to compare: {'; '.join(dict.fromkeys(missing))}")
    parts, notes = [], [*a.notes, *b.notes]
    for key in sorted(both, key=lambda one: _title(a.groups[one])):
        sides = [one_per_seed(side.groups[key]) for side in (a, b)]
        for side, kept in zip((a, b), sides, strict=True):
            left = [run["source"] for run in side.groups[key] if not any(run is one for one in kept)]
            notes += [f"{source} left out: another machine's run of that seed counts" for source in left]
        for runs in sides:
            check_settings(runs)
        parts.append(section(*sides, confidence))
    notes += dict.fromkeys(missing)
    if len(both) > 1:
        chance = 100 * (1 - confidence)
        notes.append(
            f"{len(both)} comparisons: chance lets each of them see a difference in up to {chance:.3g} % of cases"
        )
    return "\n\n".join([*parts, *(["\n".join(f"note: {note}" for note in notes)] if notes else [])])


def _missing(side: Side, other: Side) -> list[str]:
    """What the side has and the other one has nothing comparable to, each with the nearest reason."""
    notes = []
    for key, runs in side.groups.items():
        if key in other.groups:
            continue
        near = [group[0] for group in other.groups.values() if _task(group[0]) == _task(runs[0])]
        if near:
            notes.append(f"{_task(runs[0])} is not comparable: {difference(runs[0], near[0])}")
        else:
            notes.append(f"no results of {other.name} on {_title(runs)}")
    return notes
