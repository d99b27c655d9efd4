"""The Pareto front: rows that no other row of their group beats in one metric without losing in the other."""

import numpy
import pandas

from harness.result.columns import METRICS, SCORES
from harness.result.comparable import group_for


def front(frame: pandas.DataFrame, x: str, y: str) -> pandas.Series:
    """Whether a row lies on the front of what it may be compared with, by each metric's direction.

    Rows that lack one of the two values never do, nor runs without success or with changed parameters, nor seeds that
    differ in a setting and so are no one experiment. Rows that are equal in both metrics lie on it together. Without
    columns of groups the frame counts as one group.

    Raises:
        ValueError: x or y has no direction.
    """
    for key in (x, y):
        if key not in METRICS:
            raise ValueError(f"{key}: no metric with a direction; expected one of {', '.join(METRICS)}")
    costs = [_cost(frame, key) for key in (x, y)]
    eligible = ~(numpy.isnan(costs[0]) | numpy.isnan(costs[1]))
    if "status" in frame:
        eligible &= (frame["status"] == "success").to_numpy(dtype=bool)
    if "modified" in frame:
        eligible &= ~frame["modified"].to_numpy(dtype=bool)
    if SCORES & {x, y} and "direction_known" in frame:
        eligible &= frame["direction_known"].to_numpy(dtype=bool)
    if "differs" in frame:
        eligible &= (frame["differs"] == "").to_numpy(dtype=bool)
    group = group_for((x, y))
    groups = pandas.factorize(frame[group])[0] if group in frame else numpy.zeros(len(frame), dtype=int)
    rows = numpy.flatnonzero(eligible)
    rows = rows[numpy.lexsort((costs[1][rows], costs[0][rows], groups[rows]))]
    on_front = numpy.zeros(len(frame), dtype=bool)
    current = lowest = best = None
    for row in rows:  # in each group from the best x on: a row is on the front where y is better than all before
        first, second = costs[0][row], costs[1][row]
        if groups[row] != current:
            current, lowest, best = groups[row], second, (first, second)
        elif second < lowest:
            lowest, best = second, (first, second)
        on_front[row] = (first, second) == best
    return pandas.Series(on_front, index=frame.index, dtype=bool)


def _cost(frame: pandas.DataFrame, key: str) -> numpy.ndarray:
    """The metric turned so that less is better."""
    values = frame[key].to_numpy(dtype=float)
    higher = numpy.full(len(frame), METRICS[key].better == "higher")
    if key in SCORES and "higher_is_better" in frame:
        higher = frame["higher_is_better"].to_numpy(dtype=bool)
    return numpy.where(higher, -values, values)
