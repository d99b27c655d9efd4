"""What the Choose and Findings pages reason from: groups of comparable runs.

Their costs are comparable, and so their scores (harness/result/comparable.py). Nothing is compared across groups.
Runs with random weights (profiles) measure no quality and are groups of their own.
"""

import functools
import math
import statistics
from dataclasses import dataclass

import numpy
import pandas

from harness.dashboard.estimates import Estimate, counts
from harness.result.comparable import FOREIGN
from harness.result.uncertainty import CONFIDENCE, compare_items, compare_seeds, p_text, pair_seeds


@dataclass(frozen=True)
class Group:
    """Comparable, successful runs: `name` as in the column cost_group, `runs` of the frame of runs, never empty."""

    name: str
    runs: pandas.DataFrame

    @property
    def profile(self) -> bool:
        """Random weights: memory and speed only."""
        return bool(self.runs["profile"].iloc[0])

    @property
    def higher_is_better(self) -> bool:
        """Of the task's score."""
        return bool(self.runs["higher_is_better"].iloc[0])

    @property
    def label(self) -> str:
        """For people; `group_label` says how."""
        return group_label(self.runs.iloc[0])

    @functools.cached_property
    def _places(self) -> dict[str, numpy.ndarray]:
        """Where each experiment's rows are, in the order of the seeds."""
        order = numpy.argsort(self.runs["seed"].to_numpy(), kind="stable")
        names = self.runs["experiment"].to_numpy(dtype=object)[order]
        places: dict[str, list[int]] = {}
        for place, name in zip(order, names, strict=True):
            places.setdefault(name, []).append(place)
        return {name: numpy.array(places[name]) for name in sorted(places)}

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of its experiments, sorted."""
        return tuple(self._places)

    def select(self, *methods: str) -> tuple[str, ...]:
        """Its experiments of these methods, given as folder names or PEFT types in any spelling."""
        return tuple(sorted(self.runs.loc[is_method(self.runs, *methods), "experiment"].unique()))

    def timed(self) -> "Group":
        """Without runs that shared their GPU with another process: their times are not theirs. May have no runs."""
        return Group(self.name, self.runs[~self.runs["shared_device"]])

    def items(self, experiment: str) -> list[tuple[float, numpy.ndarray | None]]:
        """Seed and item scores of each run."""
        places = self._places.get(experiment, [])
        return list(zip(*(self.runs[key].to_numpy()[places] for key in ("seed", "item_scores")), strict=True))

    def values(self, experiment: str, key: str) -> list[float]:
        """One figure for each run that has it."""
        found = self.runs[key].to_numpy()[self._places.get(experiment, [])]
        return [float(value) for value in found if not math.isnan(value)]

    def mean(self, experiment: str, key: str) -> float | None:
        """Over its runs; None where none has the figure."""
        values = self.values(experiment, key)
        return sum(values) / len(values) if values else None

    def median(self, experiment: str, key: str) -> float | None:
        """Over its runs; None where none has the figure."""
        values = self.values(experiment, key)
        return statistics.median(values) if values else None


def run_groups(runs: pandas.DataFrame, experiments: pandas.DataFrame) -> list[Group]:
    """Groups of the successful runs whose settings nobody changed on the command line; profiles last.

    Seeds that differ in a setting are not one experiment and are left out.
    """
    strange = [source for files in experiments.loc[experiments["differs"].ne(""), "runs"] for source, _ in files]
    usable = runs[runs["status"].eq("success") & ~runs["modified"] & ~runs["source"].isin(strange)]
    found = [Group(str(name), rows) for name, rows in usable.groupby("cost_group", sort=True)]
    return sorted(found, key=lambda group: group.profile)


def group_label(row: pandas.Series) -> str:
    """The group of a row, for people: 'Task/subset, embedded/t5, cpu-amd-epyc, protocol 1'.

    Two groups can have one label where they differ in data, processor or libraries only; the column cost_group tells
    them apart.
    """
    name = "/".join(part for part in (row["task"], row["subset"]) if part) or "unknown task"
    foreign = row["protocol"] == FOREIGN
    origin = "published elsewhere, protocol unknown" if foreign else f"protocol {row['protocol']}"
    parts = [name, row["model"] or "unknown model", row["hardware"], origin]
    return ", ".join([*parts, *(["random weights"] if row["profile"] else [])])


def plain(name: str) -> str:
    """A method's name without its spelling: 'ln_tuning', 'LN_TUNING' and 'ln-tuning' are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def is_method(frame: pandas.DataFrame, *methods: str) -> pandas.Series:
    """Which rows are of these methods, by the method's folder or the PEFT type, in any spelling."""
    wanted = {plain(method) for method in methods}
    return frame["method"].map(plain).isin(wanted) | frame["peft_type"].map(plain).isin(wanted)


def score_difference(group: Group, a: str, b: str) -> Estimate:
    """By how much A's mean score is better than B's; positive is better, whatever the score's direction.

    Seeds are the units where both have at least two. Else two trained models can be compared by their test items,
    which says nothing of their methods: such an estimate has no bounds, and `how` says what was found.
    """
    sign = 1.0 if group.higher_is_better else -1.0
    found = compare_seeds(group.values(a, "score"), group.values(b, "score"))
    if found.p_value is None:
        how = found.reason if min(found.n) > 1 else f"one seed: {_two_models(group, a, b)}"
        return Estimate(sign * found.difference, None, None, how)
    low, high = sorted((sign * found.low, sign * found.high))
    return Estimate(sign * found.difference, low, high, f"Welch over {counts(found, 'seeds')}")


def _two_models(group: Group, a: str, b: str) -> str:
    """What the items say of one run of each, of one seed where there is one that both have."""
    says = "this speaks of two trained models only, not of their methods"
    one, two = ([run for run in group.items(name) if run[1] is not None] for name in (a, b))
    if not one or not two:
        return says
    places = pair_seeds(*([seed for seed, _ in side] for side in (one, two)))
    items = [side[place][1] for side, place in zip((one, two), places, strict=True)]
    if len(items[0]) != len(items[1]):
        return says
    found = compare_items(*items)
    if found.p_value is None:
        return f"{says} ({found.reason})"
    seen = "they differ" if found.p_value < 1 - CONFIDENCE else "no difference seen"
    return f"{says} ({seen}, {p_text(found.p_value)}, {found.method})"
