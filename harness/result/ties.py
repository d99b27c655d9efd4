"""Which experiments cannot be told from the best of their group; harness/result/uncertainty.py says what is tested.

Methods are compared by their seeds. Where one of two has a single seed, two trained models are compared on their items
instead, which says nothing of their methods, and the text says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from harness.result.uncertainty import CONFIDENCE, compare_items, compare_seeds, mcnemar_p_values, p_text, pair_seeds

ONLY, BEST = "the only one", "best"
_MODELS = "of two trained models only"


@dataclass(frozen=True)
class Entry:
    """An experiment as it is compared: its name, and of each seed the score and, where known, the items' scores."""

    name: str
    seeds: Sequence[float]
    scores: numpy.ndarray
    items: Sequence[numpy.ndarray | None]


def compare_with_best(entries: Sequence[Entry], higher_is_better: bool) -> list[tuple[bool, str]]:
    """For each experiment of one group whether it is tied with the best, the best included, and in words why.

    Untested ones are not tied, unless their score is the best one too.
    """
    best = min(entries, key=lambda one: (-_goodness(one, higher_is_better), -len(one.scores), one.name))
    if len(entries) == 1:
        return [(True, ONLY)]
    found: dict[int, tuple[bool, str]] = {}
    binary: list[tuple[int, int, int]] = []  # position, items that only the best got right, and only the other one
    for position, other in enumerate(entries):
        if other is best:
            found[position] = True, BEST
        elif min(len(best.scores), len(other.scores)) > 1:
            test = compare_seeds(best.scores, other.scores)
            found[position] = _verdict(test.p_value, test.difference, higher_is_better, test.method, test.reason)
        else:
            places = pair_seeds(best.seeds, other.seeds)
            one, two = (side.items[place] for side, place in zip((best, other), places, strict=True))
            if one is None or two is None or len(one) != len(two):
                equal = float(best.scores.mean()) == float(other.scores.mean())
                found[position] = equal, "not tested: one seed, no scores of the same items" + ", same score" * equal
            elif one.dtype == two.dtype == numpy.uint8:
                binary.append((position, int((one > two).sum()), int((one < two).sum())))
            else:
                test = compare_items(one, two)
                method = f"{test.method}, {_MODELS}"
                found[position] = _verdict(test.p_value, test.difference, higher_is_better, method, test.reason)
    wins, losses = (numpy.array([row[column] for row in binary], dtype=int) for column in (1, 2))
    for (position, won, lost), p_value in zip(binary, mcnemar_p_values(wins, losses), strict=True):
        method = f"exact McNemar test, {_MODELS}"
        found[position] = _verdict(float(p_value), won - lost, higher_is_better, method, "")
    return [found[position] for position in range(len(entries))]


def _goodness(entry: Entry, higher_is_better: bool) -> float:
    return float(entry.scores.mean()) * (1 if higher_is_better else -1)


def _verdict(
    p_value: float | None, difference: float, higher_is_better: bool, method: str, reason: str
) -> tuple[bool, str]:
    """`difference` is the best's score less the other's."""
    if p_value is None:
        return False, f"not tested: {reason}"
    behind = p_value < 1 - CONFIDENCE and (difference > 0) == higher_is_better
    return not behind, f"{'behind' if behind else 'tied with'} the best ({p_text(p_value)}, {method})"
