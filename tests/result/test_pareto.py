"""The Pareto front against a plain definition of what it should be."""

import math

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.result.columns import METRICS
from harness.result.comparable import group_for
from harness.result.pareto import front

values = st.sampled_from([math.nan, -0.0, 0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)
points = st.lists(
    st.tuples(values, values, st.sampled_from("ab"), st.sampled_from(["success", "success", "failed"]), st.booleans()),
    max_size=25,
)


def beats(one, other, signs):
    costs = [[sign * value for sign, value in zip(signs, row[:2], strict=True)] for row in (one, other)]
    return all(a <= b for a, b in zip(*costs, strict=True)) and any(a < b for a, b in zip(*costs, strict=True))


@settings(deadline=None, max_examples=300)
@given(points, st.sampled_from(list(METRICS)), st.sampled_from(list(METRICS)), st.booleans())
def test_front_is_what_nothing_beats(rows, x, y, grouped):
    """By definition: eligible, and no eligible row of the group is at least as good in both and better in one."""
    if x == y:
        rows = [(row[0], row[0], *row[2:]) for row in rows]
    frame = pandas.DataFrame({x: [row[0] for row in rows], y: [row[1] for row in rows]}, dtype=float)
    frame["status"] = pandas.Series([row[3] for row in rows], dtype="str")
    if grouped:
        frame[group_for((x, y))] = pandas.Series([row[2] for row in rows], dtype="str")
    frame.index = frame.index * 2 + 1
    signs = [-1 if METRICS[key].better == "higher" else 1 for key in (x, y)]
    eligible = [not math.isnan(row[0]) and not math.isnan(row[1]) and row[3] == "success" for row in rows]
    expected = [
        able and not any(good and (not grouped or other[2] == row[2]) and beats(other, row, signs) for good, other in zip(eligible, rows, strict=True))
        for able, row in zip(eligible, rows, strict=True)
    ]  # fmt: skip
    found = front(frame, x, y)
    assert found.tolist() == expected
    assert found.dtype == bool
    assert found.index.equals(frame.index)


def test_front_by_the_tasks_direction():
    frame = pandas.DataFrame(
        {
            "storage": [1.0, 2.0, 3.0],
            "score": [0.1, 0.2, 0.05],
            "higher_is_better": [False] * 3,
            "modified": [False] * 3,
        }
    )
    assert front(frame, "storage", "score").tolist() == [True, False, True]
    assert front(frame.assign(modified=[True, False, False]), "storage", "score").tolist() == [False, True, True]
    assert front(frame.assign(differs=["lr", "", ""]), "storage", "score").tolist() == [False, True, True]


def test_no_front_without_directions():
    with pytest.raises(ValueError, match="rank: no metric"):
        front(pandas.DataFrame({"rank": [8.0], "score": [0.5]}), "rank", "score")
