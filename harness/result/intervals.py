"""The interval of an experiment's score: over its seeds, or with one seed over the test items."""

import functools

import numpy
import pandas

from harness.result.uncertainty import Interval, bootstrap_interval, seed_interval, wilson_interval

_PENDING = "one seed, BCa bootstrap over"
MOST = 30  # bootstrap intervals, of a tenth of a second each and more, that one page waits for
_LEFT_OUT = f"no interval computed: a page has those of its best {MOST} single seeds; filter for this one"
_NONE = (numpy.nan, numpy.nan)


def interval_of(
    scores: numpy.ndarray, items: numpy.ndarray | None, differs: str = "", count: float = numpy.nan
) -> tuple[float, float, str]:
    """Lower and upper end, NaN where there is none, and in words what they are.

    A bootstrap takes a tenth of a second and is left out: `fill_intervals` computes it for the rows that are shown.

    Args:
        scores: one for each seed.
        items: the scores by item of the only seed, where they are known.
        differs: a setting in which the seeds differ, so that their mean is of no one experiment.
        count: items that the only seed's score is a whole number of, where it is known only that.
    """
    if differs:
        return *_NONE, f"no interval: the seeds differ in {differs}"
    if len(scores) > 1:
        interval = seed_interval(scores)
        if interval.low is None:
            return *_NONE, f"no interval: {len(scores)} seeds with one score"
        return interval.low, interval.high, f"{len(scores)} seeds, {interval.method}"
    if items is None and count == count:  # NaN, unknown, differs from itself
        interval = _wilson(round(scores[0] * count), int(count))
        return interval.low, interval.high, f"{_over_items(interval)}, a number read off the score"
    if items is None:
        return *_NONE, "no interval: one seed, and no scores by item"
    if items.dtype != numpy.uint8:
        return *_NONE, f"{_PENDING} {len(items)} items"
    interval = _wilson(int(items.sum()), len(items))
    return interval.low, interval.high, _over_items(interval)


def fill_intervals(experiments: pandas.DataFrame) -> pandas.DataFrame:
    """The same rows with the bootstrap intervals that were left out, of the first MOST; each is computed once."""
    pending = experiments["interval"].str.startswith(_PENDING).to_numpy(dtype=bool)
    waiting = experiments.index[pending & experiments["score_low"].isna().to_numpy()]
    if waiting.empty:
        return experiments
    filled = experiments.copy()
    filled.loc[waiting[MOST:], "interval"] = _LEFT_OUT
    for index in waiting[:MOST]:
        interval = _bootstrap(filled.at[index, "item_scores"].tobytes())
        filled.loc[index, ["score_low", "score_high"]] = interval.low, interval.high
        filled.loc[index, "interval"] = _over_items(interval)
    return filled


def _over_items(interval: Interval) -> str:
    return f"one seed, {interval.method} over {interval.n} items"


@functools.lru_cache(maxsize=4096)
def _bootstrap(scores: bytes) -> Interval:
    return bootstrap_interval(numpy.frombuffer(scores, dtype=float))


@functools.lru_cache(maxsize=65536)
def _wilson(right: int, items: int) -> Interval:
    return wilson_interval(right / items, items)
