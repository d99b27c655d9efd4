"""Scores are checked where they arrive, so that no result holds one that is none."""

import math
from fractions import Fraction

import numpy
import pytest

from harness.errors import UserError
from harness.experiment import ROOT
from harness.scoring import further_scores, score_predictions
from harness.task import Metric, Row, Score, Task

ROWS = [Row("prompt", "target", reference, reference) for reference in ("a", "b", "")]


def task(**functions):
    given = {"load_splits": lambda source, subset: None, "score": lambda prediction, reference: Score(0.5)} | functions
    return Task(name="Toy", path=ROOT / "Toy" / "data.py", metric=Metric("accuracy"), datasets={}, **given)


@pytest.mark.parametrize(
    ("score", "value", "invalid"),
    [
        (Score(0.25), 0.25, 0),
        (Score(True, valid=False), 1, 1),
        (Score(numpy.float32(0.5), valid=numpy.bool_(True)), 0.5, 0),
        (Score(Fraction(1, 4)), 0.25, 0),
        (Score(0), 0, 0),
    ],
)
def test_any_kind_of_number_is_a_score(score, value, invalid):
    scores = score_predictions(task(score=lambda prediction, reference: score), ROWS, ["", "x", "y"])
    assert scores.values == [value] * 3
    assert all(type(one) is float for one in scores.values)
    assert (scores.mean, scores.invalid_rate) == (value, invalid)


@pytest.mark.parametrize(
    "score",
    [Score(math.nan), Score(math.inf), Score(-math.inf), Score(7.0), Score(-0.1), Score("1"), Score(None), Score(1j), 1.0, None,
     (1.0, True), Score(1.0, valid=None), Score(1.0, valid="no"), Score(numpy.ones(2))],
    ids=repr,
)  # fmt: skip
def test_what_is_no_score_is_refused(score):
    with pytest.raises(UserError, match="^Toy/data.py: score: ") as caught:
        score_predictions(
            task(score=lambda prediction, reference: score if reference == "b" else Score(1)), ROWS, ["x"] * 3
        )
    assert "expected harness.task.Score(value from 0 to 1, valid=True or False), got" in str(caught.value)
    assert "for the prediction 'x' and the reference 'b'" in str(caught.value)


def test_a_score_function_that_fails_is_named():
    with pytest.raises(UserError, match=r"^Toy/data.py: score: ZeroDivisionError: division by zero"):
        score_predictions(task(score=lambda prediction, reference: Score(1 / len(reference))), ROWS, ["x"] * 3)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "expected a dictionary of numbers by name, got None"),
        ([("a", 1.0)], "expected a dictionary of numbers by name"),
        ({1: 1.0}, "expected a dictionary of numbers by name"),
        ({"": 1.0}, "expected a dictionary of numbers by name"),
        ({"ROUGE-1": math.nan}, "expected a finite number for 'ROUGE-1', got nan"),
        ({"ROUGE-1": -math.inf}, "expected a finite number for 'ROUGE-1', got -inf"),
        ({"ROUGE-1": "0.5"}, "expected a finite number for 'ROUGE-1', got '0.5'"),
        ({"ROUGE-1": None}, "expected a finite number for 'ROUGE-1', got None"),
    ],
)
def test_what_summarize_may_not_return(found, message):
    with pytest.raises(UserError, match=f"^Toy/data.py: summarize: {message}"):
        further_scores(task(summarize=lambda predictions, references: found), [], [])


def test_further_scores():
    assert further_scores(task(), ["x"], ["a"]) == {}
    found = further_scores(
        task(summarize=lambda predictions, references: {"n": numpy.float32(len(predictions))}), ["x"], ["a"]
    )
    assert found == {"n": 1.0}
    assert type(found["n"]) is float
