"""How sure a score is, and whether two of them differ: intervals and tests, for scores in [0, 1].

Two questions have two units. How well does *this trained model* do? Its test items are the sample: Wilson's interval
for right and wrong answers, a BCa bootstrap for graded scores. How well does *the method* do? Its seeds are the
sample, since seeds differ more than items do: Student's interval of their mean, and Welch's test between two methods.
Items pooled over seeds would call noise a difference. Simulated, a method against itself, a standard deviation of 4
points between seeds, 60 % right, 400 items, 95 % confidence: a test on pooled items sees a difference in 31 % of
comparisons, Welch's in 2.3 % with 2 seeds each, 3.5 % with 3, 4.1 % with 4 and 4.4 % with 5: cautious with few.
"""

import contextlib
import functools
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
DECIMALS = 12  # scores closer than this are equal: their difference is rounding, not spread

Unit = Literal["items", "seeds"]


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that holds the truth in `confidence` of such samples; None where nothing tells."""

    estimate: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    unit: Unit
    method: str


@dataclass(frozen=True)
class Comparison:
    """Mean of A less mean of B. Without a `p_value` nothing was tested, and `reason` says why."""

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    confidence: float
    n: tuple[int, int]
    unit: Unit
    method: str
    reason: str = ""

    def better(self, higher_is_better: bool = True) -> Literal["A", "B"] | None:
        """Which one is; None where no difference is seen, or none was tested."""
        if self.p_value is None or self.p_value >= 1 - self.confidence:
            return None
        return "A" if (self.difference > 0) == higher_is_better else "B"


def wilson_interval(mean: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Of a proportion `mean` among n items: Wilson (1927), Probable inference, JASA 22(158), without correction.

    At 95 % it holds the truth, exactly, in 92.1, 94.3 and 96.6 % of samples of 100 items with p = .01, .5 and .95, and
    in 94.9, 95.3 and 95.0 % of samples of 1319. Instead of 92.1 %, discreteness would allow 98.2 %, nothing between.
    """
    z2 = stats.norm.isf((1 - confidence) / 2) ** 2 / n
    centre = (mean + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * mean * (1 - mean) + z2 * z2 / 4) / (1 + z2)
    # 0 and 1 are themselves the bounds at 0 and 1; minimum and maximum are against rounding
    low, high = max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean))
    return Interval(mean, low, high, confidence, n, "items", "Wilson")


def bootstrap_interval(scores: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Of a mean of graded scores: BCa, Efron (1987), Better bootstrap confidence intervals, JASA 82(397).

    See also DiCiccio & Efron (1996), Bootstrap confidence intervals, Statistical Science 11(3). The resamples are
    always the same ones. Where all scores are equal (one item is such a case) the bootstrap sees no spread and would
    claim certainty; Wilson's interval of the same mean replaces it: no scores in [0, 1] vary more than 0 and 1 do.
    """
    values = _rounded(scores)
    mean = float(values.mean())
    if not _varies(values):
        return wilson_interval(float(values[0]), len(values), confidence)
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        low, high = stats.bootstrap(
            (values,), numpy.mean, n_resamples=RESAMPLES, batch=500, confidence_level=confidence, method="BCa",
            rng=numpy.random.default_rng(0),
        ).confidence_interval  # fmt: skip
    if not (math.isfinite(low) and math.isfinite(high)):
        return wilson_interval(mean, len(values), confidence)
    return Interval(mean, min(float(low), mean), max(float(high), mean), confidence, len(values), "items", "BCa")


def item_interval(scores: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Of one trained model's mean over test items: Wilson's where every score is 0 or 1, else the BCa bootstrap."""
    if _all_or_nothing(scores):
        return wilson_interval(sum(scores) / len(scores), len(scores), confidence)
    return bootstrap_interval(scores, confidence)


def seed_interval(scores: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Of a method's mean over seeds, by Student's t within [0, 1]; none from one seed, or seeds that are all equal."""
    values = _rounded(scores)
    mean, low, high = float(values.mean()), None, None
    if _varies(values):
        half = _student(len(values) - 1, confidence) * float(values.std(ddof=1)) / math.sqrt(len(values))
        low, high = max(mean - half, 0.0), min(mean + half, 1.0)
    return Interval(mean, low, high, confidence, len(values), "seeds", "Student's t")


@functools.cache
def _student(freedom: int, confidence: float) -> float:
    return float(stats.t.isf((1 - confidence) / 2, freedom))


def compare_means(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Comparison:
    """Two methods, from one figure per seed, of any size: Welch (1947), Generalization of 'Student's' problem,
    Biometrika 34.

    The seeds need not be the same ones, nor as many. Nothing is tested where a method has one seed, or where neither
    one's seeds differ at all and the methods do; equal constants are no difference.
    """
    one, two = _rounded(a), _rounded(b)
    difference = float(one.mean()) - float(two.mean())
    frame = {"confidence": confidence, "n": (len(a), len(b)), "unit": "seeds", "method": "Welch's t-test"}
    if min(len(one), len(two)) < 2:
        reason = "one seed tells nothing about how much seeds differ"
        return Comparison(difference, None, None, None, **frame, reason=reason)
    if not (_varies(one) or _varies(two)):
        return _without_spread(difference, "neither one's seeds differ: there is no spread to test against", frame)
    with _quiet():
        test = stats.ttest_ind(one, two, equal_var=False)
        low, high = test.confidence_interval(confidence)
    return Comparison(difference, float(low), float(high), float(test.pvalue), **frame)


def compare_seeds(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Comparison:
    """The same of scores, whose difference lies between -1 and 1."""
    return _within_one(compare_means(a, b, confidence))


def welch_p_values(a: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    """Of `compare_means` for many pairs of methods at once; NaN where there is no spread to test against.

    Args:
        a: a row per method with a figure per seed, two or more; or one row for all.
        b: the other methods' rows.
    """
    one, two = (numpy.atleast_2d(_rounded(values)) for values in (a, b))
    with _quiet():
        p_values = stats.ttest_ind(one, two, axis=1, equal_var=False).pvalue
    return numpy.where((numpy.ptp(one, axis=1) > 0) | (numpy.ptp(two, axis=1) > 0), p_values, math.nan)


def compare_items(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Comparison:
    """Two trained models on the same items; it speaks of these two models, never of their methods.

    Where all scores are 0 or 1: McNemar (1947), Note on the sampling error of the difference between correlated
    proportions, Psychometrika 12(2), in its exact binomial form. The interval is Clopper and Pearson's (1934) of the
    share of A among the items that only one of them got right, given how many these are, so that it excludes zero
    exactly when the test finds a difference. Graded scores: the paired t-test (Student, 1908) on the items'
    differences, because it is the mean that is reported; Wilcoxon's test would judge another quantity.

    Raises:
        ValueError: different numbers of items, or none.
    """
    if len(a) != len(b) or not len(a):
        raise ValueError(f"paired scores of the same items expected, got {len(a)} and {len(b)}")
    differences = numpy.asarray(a, dtype=float) - numpy.asarray(b, dtype=float)
    binary = _all_or_nothing(a) and _all_or_nothing(b)
    method = "exact McNemar test" if binary else "paired t-test"
    frame = {"confidence": confidence, "n": (len(a), len(b)), "unit": "items", "method": method}
    values = _rounded(differences)
    difference = float(values.mean())
    if binary and differences.any():
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        share, p_value = (wins + losses) / len(a), float(mcnemar_p_values(wins, losses))
        bounds = stats.binomtest(wins, wins + losses).proportion_ci(confidence, method="exact")
        low, high = (float(2 * bound - 1) * share for bound in bounds)
        return Comparison(difference, low, high, p_value, **frame)
    if not _varies(values):
        return _without_spread(float(values[0]), "the models differ by the same on every item: no spread", frame)
    with _quiet():
        test = stats.ttest_rel(values, numpy.zeros_like(values))
        low, high = test.confidence_interval(confidence)
    return _within_one(Comparison(difference, float(low), float(high), float(test.pvalue), **frame))


def mcnemar_p_values(wins: numpy.ndarray, losses: numpy.ndarray) -> numpy.ndarray:
    """Two-sided and exact, for many pairs of models at once.

    Args:
        wins: items that only the one model of a pair got right.
        losses: items that only the other one did.
    """
    return numpy.minimum(1.0, 2 * stats.binom.cdf(numpy.minimum(wins, losses), wins + losses, 0.5))


def pair_seeds(a: Sequence[float], b: Sequence[float]) -> tuple[int, int]:
    """Places of the two seeds whose models are compared where one side has a single seed: the first that both have.

    Without one that both have, the first of each.
    """
    shared = next((seed for seed in a if seed in b), None)
    return (0, 0) if shared is None else (list(a).index(shared), list(b).index(shared))


def p_text(value: float) -> str:
    """'p = 0.012'."""
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def _without_spread(difference: float, reason: str, frame: dict) -> Comparison:
    if round(difference, DECIMALS):
        return Comparison(difference, None, None, None, **frame, reason=reason)
    return Comparison(0.0, 0.0, 0.0, 1.0, **frame)


def _within_one(found: Comparison) -> Comparison:
    return found if found.low is None else replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))


def _rounded(scores: Sequence[float] | numpy.ndarray) -> numpy.ndarray:
    return numpy.round(numpy.asarray(scores, dtype=float), DECIMALS)


def _varies(values: numpy.ndarray) -> bool:
    return bool(numpy.ptp(values) > 0)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """scipy warns of lost digits where one side hardly varies; that neither does is looked for beforehand."""
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _all_or_nothing(scores: Sequence[float]) -> bool:
    return bool(numpy.isin(numpy.asarray(scores, dtype=float), (0.0, 1.0)).all())
