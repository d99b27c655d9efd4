"""The mean over all subsets of a task, of an experiment that has results on every one of them."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SubsetMean:
    """Of one experiment: its mean on each subset, in their order, and over subsets for each seed that counts."""

    by_subset: dict[str, float]
    by_seed: dict[float, float]

    @property
    def mean(self) -> float:
        """Over subsets, and over seeds."""
        return statistics.fmean(self.by_seed.values())


def mean_over_subsets(scores: Mapping[str, Mapping[float, float]]) -> SubsetMean | None:
    """Only seeds that every subset has count; None where there is none, since it would be a mean of something else.

    Args:
        scores: by subset and seed.
    """
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in scores.values()))) if scores else []
    if not seeds:
        return None
    by_subset = {name: statistics.fmean(by_seed[seed] for seed in seeds) for name, by_seed in scores.items()}
    return SubsetMean(by_subset, {seed: statistics.fmean(one[seed] for one in scores.values()) for seed in seeds})
