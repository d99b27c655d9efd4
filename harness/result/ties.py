"""Which experiments cannot be told from the best of their group; harness/result/uncertainty.py says what is tested.

Methods are compared by their seeds. Where one of two has a single seed, two trained models are compared on their items
instead, which says nothing of their methods, and the text says so.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy

from harness.result.uncertainty import (
    CONFIDENCE,
    compare_items,
    compare_seeds,
    mcnemar_p_values,
    p_text,
    pair_seeds,
    welch_p_values,
)

ONLY, BEST = "the only one", "best"
_MODELS = "of two trained models only"


@dataclass(frozen=True)
class Entry:
    """An experiment as it is compared: its name, and of each seed the score and, where known, the items' scores."""

    name: str
    seeds: Sequence[float]
    scores: numpy.ndarray
    items: Sequence[numpy.ndarray | None]


class Tie(NamedTuple):
    """Whether an experiment is tied with the best, why in words, and whether anything was tested."""

    tied: bool
    why: str
    tested: bool = True


def compare_with_best(entries: Sequence[Entry], higher_is_better: bool) -> list[Tie]:
    """For each experiment of one group whether it is tied with the best, the best included.

    Untested ones are not tied, unless their score is the best one too.
    """
    best = min(entries, key=lambda one: (-_goodness(one, higher_is_better), -len(one.scores), one.name))
    if len(entries) == 1:
        return [Tie(True, ONLY)]
    by_seeds = [place for place, one in enumerate(entries) if one is not best and _several(best, one)]
    by_items = [place for place, one in enumerate(entries) if one is not best and not _several(best, one)]
    found = {place: Tie(True, BEST) for place, one in enumerate(entries) if one is best}
    found |= _by_seeds(best, {place: entries[place] for place in by_seeds}, higher_is_better)
    found |= _by_items(best, {place: entries[place] for place in by_items}, higher_is_better)
    return [found[place] for place in range(len(entries))]


def _several(best: Entry, other: Entry) -> bool:
    return min(len(best.scores), len(other.scores)) > 1


def _by_seeds(best: Entry, others: Mapping[int, Entry], higher_is_better: bool) -> dict[int, Tie]:
    """Many at once, since a test takes half a millisecond: all those with as many seeds."""
    found, places = {}, defaultdict(list)
    for place, other in others.items():
        places[len(other.scores)].append(place)
    for alike in places.values():
        scores = numpy.array([others[place].scores for place in alike])
        p_values, apart = welch_p_values(best.scores, scores), best.scores.mean() - scores.mean(axis=1)
        for place, p_value, difference in zip(alike, p_values, apart, strict=True):
            if math.isnan(p_value):  # no spread: equal, or not tested
                test = compare_seeds(best.scores, others[place].scores)
                found[place] = _verdict(test.p_value, test.difference, higher_is_better, test.method, test.reason)
            else:
                found[place] = _verdict(float(p_value), difference, higher_is_better, "Welch's t-test", "")
    return found


def _by_items(best: Entry, others: Mapping[int, Entry], higher_is_better: bool) -> dict[int, Tie]:
    found: dict[int, Tie] = {}
    binary: dict[int, tuple[int, int]] = {}  # items that only the best got right, and only the other one
    for place, other in others.items():
        seeds = pair_seeds(best.seeds, other.seeds)
        one, two = (side.items[seed] for side, seed in zip((best, other), seeds, strict=True))
        if one is None or two is None or len(one) != len(two):
            equal = float(best.scores.mean()) == float(other.scores.mean())
            why = "not tested: one seed, no scores of the same items" + ", same score" * equal
            found[place] = Tie(equal, why, False)
        elif one.dtype == two.dtype == numpy.uint8:
            binary[place] = int((one > two).sum()), int((one < two).sum())
        else:
            test = compare_items(one, two)
            method = f"{test.method}, {_MODELS}"
            found[place] = _verdict(test.p_value, test.difference, higher_is_better, method, test.reason)
    p_values = mcnemar_p_values(*(numpy.array([row[side] for row in binary.values()], dtype=int) for side in (0, 1)))
    for (place, (won, lost)), p_value in zip(binary.items(), p_values, strict=True):
        found[place] = _verdict(float(p_value), won - lost, higher_is_better, f"exact McNemar test, {_MODELS}", "")
    return found


def _goodness(entry: Entry, higher_is_better: bool) -> float:
    return float(entry.scores.mean()) * (1 if higher_is_better else -1)


def _verdict(p_value: float | None, difference: float, higher_is_better: bool, method: str, reason: str) -> Tie:
    """`difference` is the best's score less the other's."""
    if p_value is None:
        return Tie(False, f"not tested: {reason}", False)
    behind = p_value < 1 - CONFIDENCE and (difference > 0) == higher_is_better
    return Tie(not behind, f"{'behind' if behind else 'tied with'} the best ({p_text(p_value)}, {method})")
