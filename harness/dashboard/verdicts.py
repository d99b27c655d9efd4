"""What statistics say of two rows of the results; harness/result/compare.py is asked, on the files themselves."""

from dataclasses import dataclass
from pathlib import Path

import pandas

from harness.dashboard.choices import higher_is_better
from harness.dashboard.estimates import p_text
from harness.errors import UserError
from harness.experiment import ROOT
from harness.result.compare import check_comparable, compare_results
from harness.result.schema import Result
from harness.result.store import read_result
from harness.result.uncertainty import Comparison


@dataclass(frozen=True)
class Verdict:
    """Of A against B: "A", "B" or None, its figures, and in words what it means or why nothing was tested."""

    better: str | None
    figures: str
    words: str
    tested: bool


def compare_rows(a: pandas.Series, b: pandas.Series) -> Verdict:
    """Their test scores: methods by seeds, or where one has a single seed the two trained models by their items."""
    reason = _incomparable(a, b)
    if reason:
        return Verdict(None, _difference(a, b), f"not tested: {reason}", False)
    try:
        sides = [[read_result(Path(ROOT, source)) for source, _ in row["runs"]] for row in (a, b)]
        check_comparable(*sides)
        comparison, pair = compare_results(*sides)
    except UserError as error:
        return Verdict(None, "", f"not tested: {error}", False)
    except (OSError, ValueError, KeyError):  # no such file, not of the schema, no items, no model's name
        text = "not tested: a file is no complete result of this harness, or no longer there"
        return Verdict(None, _difference(a, b), text, False)
    return _verdict(comparison, pair, higher_is_better(pandas.DataFrame([a])))


def _incomparable(a: pandas.Series, b: pandas.Series) -> str:
    """Why these rows may not be tested against each other; empty where they may."""
    for row in (a, b):
        if row["foreign"]:
            return f"{row['experiment']} is a foreign result, without scores of single items"
        if row["profile"]:
            return "profiles measure no quality"
        if not row["ranked"]:
            return f"{row['experiment']} is not a successful, unmodified experiment"
    for key, name in (("protocol", "protocols"), ("hardware", "hardware")):
        if a[key] != b[key]:
            return f"different {name}: {a[key]} and {b[key]}"
    return "" if a["group"] == b["group"] else "different data, or another version of the base model"


def _difference(a: pandas.Series, b: pandas.Series) -> str:
    """The plain difference of the means; empty where one is missing."""
    difference = a["score"] - b["score"]
    return "" if pandas.isna(difference) else f"{100 * difference:+.1f} points"


def _verdict(comparison: Comparison, pair: tuple[Result, Result] | None, higher: bool) -> Verdict:
    figures = f"{100 * comparison.difference:+.1f} points"
    if comparison.low is not None:
        figures += f", 95 % interval {100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"
    if comparison.p_value is None:
        return Verdict(None, figures, f"not tested: {comparison.reason}", False)
    words = f"{p_text(comparison.p_value)}, {comparison.method} over {comparison.unit}"
    if pair is not None:
        words += f"; of these two trained models only (seeds {pair[0].seed} and {pair[1].seed}), not of their methods"
    return Verdict(comparison.better(higher), figures, words, True)
