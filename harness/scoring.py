"""From predictions to the figures of a split: mean score, share of invalid outputs, majority baseline."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from harness.errors import UserError, blame, brief
from harness.task import Row, Score, Task

LEAST_SHARE = 0.005  # below it a repeated reference is boilerplate in free text, not an answer to bet on


@dataclass(frozen=True)
class Scores:
    """Of one split: one score per row in the split's order, their mean, and the share of outputs with no answer."""

    values: list[float]
    mean: float
    invalid_rate: float


def score_predictions(task: Task, rows: Sequence[Row], predictions: Sequence[str]) -> Scores:
    """Scores each prediction against its row's reference.

    Raises:
        ValueError: no rows, or a different number of predictions: a mean over something else would be misread.
        UserError: data.py's score fails, or returns something else than a Score between 0 and 1.
    """
    if not rows:
        raise ValueError("no rows to score")
    pairs = [(prediction, row.reference) for row, prediction in zip(rows, predictions, strict=True)]
    with blame(f"{task.where}: score", task.path):
        scores = [_check_score(task.score(*pair), pair, task) for pair in pairs]
    values = [float(score.value) for score in scores]
    return Scores(values, sum(values) / len(values), sum(not score.valid for score in scores) / len(scores))


def _check_score(score: Any, pair: tuple[str, str], task: Task) -> Score:
    right = isinstance(score, Score) and isinstance(score.value, Real) and score.valid in (True, False)
    if right and 0 <= score.value <= 1:  # no NaN is
        return score
    expected = "harness.task.Score(value from 0 to 1, valid=True or False)"
    prediction, reference = map(brief, pair)
    raise UserError(f"{task.where}: score: expected {expected}, got {brief(score)} for the prediction {prediction} "
                    f"and the reference {reference}")  # fmt: skip


def further_scores(task: Task, predictions: list[str], references: list[str]) -> dict[str, float]:
    """What else the task reports of a whole split, by name; nothing where its data.py has no `summarize`.

    Raises:
        UserError: data.py's summarize fails, or returns something else than finite numbers by name.
    """
    if task.summarize is None:
        return {}
    where = f"{task.where}: summarize"
    with blame(where, task.path):
        found = task.summarize(predictions, references)
        if not isinstance(found, dict) or not all(isinstance(name, str) and name for name in found):
            raise UserError(f"{where}: expected a dictionary of numbers by name, got {brief(found)}")
        for name, value in found.items():
            if not (isinstance(value, Real) and math.isfinite(value)):
                raise UserError(f"{where}: expected a finite number for {name!r}, got {brief(value)}")
        return {name: float(value) for name, value in found.items()}


def majority_baseline(task: Task, train: Sequence[Row], test: Sequence[Row]) -> float | None:
    """Test score of always answering the most frequent training reference; null where none is frequent."""
    ((reference, count),) = Counter(row.reference for row in train).most_common(1)
    if count < max(2, LEAST_SHARE * len(train)):
        return None
    return score_predictions(task, test, [reference] * len(test)).mean
