"""What statistics say of two rows of the results; harness/result/compare.py is asked, on the runs behind them."""

from dataclasses import dataclass

import pandas

from harness.result.comparable import Record, difference
from harness.result.compare import compare_runs
from harness.result.uncertainty import Comparison, p_text


@dataclass(frozen=True)
class PairVerdict:
    """Of A against B: "A", "B" or None, its figures, and in words what it means or why nothing was tested."""

    better: str | None
    figures: str
    words: str
    tested: bool


def compare_rows(a: pandas.Series, b: pandas.Series, runs: pandas.DataFrame) -> PairVerdict:
    """Their test scores: methods by seeds, or where one has a single seed the two trained models by their items.

    Args:
        a: row of the frame of experiments.
        b: the other one.
        runs: the frame of runs that both are made of.
    """
    reason = next((f"{row['experiment']} is {_unusable(row)}" for row in (a, b) if not row["ranked"]), "")
    reason = reason or difference(a, b)
    if reason:
        apart = a["score"] - b["score"]
        return PairVerdict(None, "" if pandas.isna(apart) else _points(apart), f"not tested: {reason}", False)
    comparison, pair = compare_runs(*(_runs_of(row, runs) for row in (a, b)))
    return _verdict(comparison, pair, bool(a["higher_is_better"]), a["hardware"] != b["hardware"])


def _unusable(row: pandas.Series) -> str:
    if row["profile"]:
        return "a profile, which measures no quality"
    return "no successful, unmodified experiment with a score"


def _runs_of(row: pandas.Series, runs: pandas.DataFrame) -> list[Record]:
    sources = [source for source, _ in row["runs"]]
    return runs[runs["source"].isin(sources)].sort_values("seed", kind="stable").to_dict("records")


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f} points"


def _verdict(comparison: Comparison, pair: tuple[Record, Record] | None, higher: bool, machines: bool) -> PairVerdict:
    figures = _points(comparison.difference)
    if comparison.low is not None:
        figures += f", 95 % interval {100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"
    if comparison.p_value is None:
        return PairVerdict(None, figures, f"not tested: {comparison.reason}", False)
    words = f"{p_text(comparison.p_value)}, {comparison.method} over {comparison.unit}"
    if pair is not None:
        seeds = " and ".join(f"{one['seed']:.0f}" for one in pair)
        words += f"; of these two trained models only (seeds {seeds}), not of their methods"
    words += "; on different hardware" if machines else ""
    return PairVerdict(comparison.better(higher), figures, words, True)
