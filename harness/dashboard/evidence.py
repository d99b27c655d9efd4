"""What Findings reason from: groups of runs whose scores, or scores and costs, are comparable.

Nothing is compared across groups. Runs with random weights (profiles) measure no quality and are groups of their own.
"""

import functools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.dashboard.estimates import Estimate
from harness.dashboard.methods import plain
from harness.result import comparable
from harness.result.comparable import (
    FOREIGN,
    Record,
    common_machine,
    differing_setting,
    machine_of,
    one_per_seed,
    runs_by_experiment,
)
from harness.result.compare import compare_runs
from harness.result.uncertainty import p_text

FULL = "full-finetuning"


@dataclass(frozen=True)
class Group:
    """Comparable, successful runs: `name` as in the column score_group or cost_group, `runs` by experiment."""

    name: str
    runs: dict[str, list[Record]]

    @functools.cached_property
    def by_experiment(self) -> dict[str, list[Record]]:
        """The runs of each experiment, one for each seed."""
        return {name: one_per_seed(self.runs[name]) for name in sorted(self.runs)}

    @property
    def first(self) -> Record:
        """Any of its runs, to ask what all have in common."""
        return next(iter(self.runs.values()))[0]

    def select(self, *methods: str) -> list[str]:
        """Its experiments of these methods, given as folder names or PEFT types in any spelling."""
        wanted = {plain(method) for method in methods}
        return sorted(name for name, kinds in self._kinds.items() if kinds & wanted)

    @functools.cached_property
    def _kinds(self) -> dict[str, set[str]]:
        """Of each experiment its method's folder and its PEFT type, without their spelling."""
        return {name: {plain(run[key]) for run in runs for key in ("method", "peft_type")}
                for name, runs in self.by_experiment.items()}  # fmt: skip

    @functools.cached_property
    def timed(self) -> "Group":
        """Without runs that shared their GPU with another process: their times are not theirs. May have no runs."""
        return self._only(lambda run: not run["shared_device"])

    def on_one_machine(self, *experiments: str) -> "Group | None":
        """Their runs on the machine with most of them, if one ran all of these experiments."""
        own = Group(self.name, {name: self.runs[name] for name in experiments})
        machine = common_machine(list(own.runs.values()))
        return None if machine is None else own._only(lambda run: machine_of(run) == machine)

    def _only(self, fits: Callable[[Record], bool]) -> "Group":
        kept = {name: [run for run in runs if fits(run)] for name, runs in self.runs.items()}
        return self if kept == self.runs else Group(self.name, {name: runs for name, runs in kept.items() if runs})

    def values(self, experiment: str, key: str) -> list[float]:
        """One figure for each run that has it."""
        return [run[key] for run in self.by_experiment.get(experiment, []) if not math.isnan(run[key])]

    def median(self, experiment: str, key: str) -> float | None:
        """Over its runs; None where none has the figure."""
        values = self.values(experiment, key)
        return statistics.median(values) if values else None

    def best(self, names: Iterable[str], key: str = "score") -> str | None:
        """The one with the best mean among those that have that figure: the strictest of several opponents.

        By their scores on valid where all have one: chosen on test, the luckiest of many would be the opponent.
        """
        sign = 1 if self.first["higher_is_better"] else -1
        fitting = [name for name in names if self.values(name, "score") and self.values(name, key)]
        judged = "valid_score" if all(self.values(name, "valid_score") for name in fitting) else "score"
        return max(fitting, key=lambda name: sign * statistics.fmean(self.values(name, judged)), default=None)


def run_groups(runs: Iterable[Record], key: comparable.Group) -> list[Group]:
    """Groups of the successful runs whose settings nobody changed on the command line; profiles last.

    Their scores are comparable, or with "cost_group" as key their costs as well. Seeds that differ in a setting are
    not one experiment and are left out.
    """
    found: dict[str, list[Record]] = defaultdict(list)
    for run in runs:
        if run["status"] == "success" and not run["modified"]:
            found[run[key]].append(run)
    groups = [Group(name, {one: own for one, own in runs_by_experiment(found[name]).items()
                           if not differing_setting(run["settings"] for run in own)})
              for name in sorted(found)]  # fmt: skip
    return sorted((group for group in groups if group.runs), key=lambda group: bool(group.first["profile"]))


def group_label(runs: Sequence[comparable.Record]) -> str:
    """The group of these runs, for people: 'Task/subset, embedded/t5, cpu-amd-epyc, protocol 1'.

    Two groups can have one label where they differ in data, processor or libraries only; the columns score_group and
    cost_group tell them apart.
    """
    first = runs[0]
    name = "/".join(part for part in (first["task"], first["subset"]) if part) or "unknown task"
    origin = "published elsewhere" if first["protocol"] == FOREIGN else f"protocol {first['protocol']}"
    parts = [name, first["model"] or "unknown model", " and ".join(sorted({run["hardware"] for run in runs})), origin]
    return ", ".join([*parts, *(["random weights"] if first["profile"] else [])])


def score_difference(group: Group, a: str, b: str) -> Estimate:
    """By how much A's mean score is better than B's; positive is better, whatever the score's direction.

    Seeds are the units where both have at least two. Else two trained models are compared by their test items, which
    says nothing of their methods: such an estimate has no bounds, and `how` says what was found.
    """
    sides = [[run for run in group.by_experiment[name] if not math.isnan(run["score"])] for name in (a, b)]
    higher = bool(sides[0][0]["higher_is_better"])
    found, pair = compare_runs(*sides)
    sign = 1.0 if higher else -1.0
    apart = statistics.fmean(run["score"] for run in sides[0]) - statistics.fmean(run["score"] for run in sides[1])
    if pair is None and found.p_value is not None:
        low, high = sorted((sign * found.low, sign * found.high))
        return Estimate(sign * apart, low, high, f"Welch over {len(sides[0])} and {len(sides[1])} seeds")
    how = found.reason
    if pair is not None:
        how = "one seed: this speaks of two trained models only, not of their methods"
        if found.p_value is not None:
            seen = "they differ" if found.better(higher) else "no difference seen"
            how += f" ({seen}, {p_text(found.p_value)}, {found.method})"
    return Estimate(sign * apart, None, None, how)
