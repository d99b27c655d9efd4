"""From predictions to the figures of a split: mean score, share of invalid outputs, majority baseline."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.task import Row, Task

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
    """
    if not rows:
        raise ValueError("no rows to score")
    scores = [task.score(prediction, row.reference) for row, prediction in zip(rows, predictions, strict=True)]
    values = [float(score.value) for score in scores]
    return Scores(values, sum(values) / len(values), sum(not score.valid for score in scores) / len(scores))


def majority_baseline(task: Task, train: Sequence[Row], test: Sequence[Row]) -> float | None:
    """Test score of always answering the most frequent training reference; null where none is frequent."""
    ((reference, count),) = Counter(row.reference for row in train).most_common(1)
    if count < max(2, LEAST_SHARE * len(train)):
        return None
    return score_predictions(task, test, [reference] * len(test)).mean
