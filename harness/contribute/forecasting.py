"""The forecast of an experiment folder's memory, for its check."""

from pathlib import Path

from harness.contribute.concerns import Review
from harness.experiment import read_experiment
from harness.files import display_path
from harness.forecast.forecast import Asked, forecast


def review_forecast(folder: Path) -> Review:
    """The forecast's sentence as a fact; may take memory and time without bound (see worker.py)."""
    review = Review(display_path(folder))
    with review.collecting(folder):
        made = forecast(read_experiment(folder), asked=Asked(advise=False))
        review.facts["forecast"] = made.sentence.removeprefix("Forecast: ")
    return review
