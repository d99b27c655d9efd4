"""The report of a check: for people as it comes, for programs as one JSON object."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from harness.contribute.concerns import Review
from harness.errors import UserError
from harness.result.units import human_bytes, plural

MOST_ITEMS = 6  # of a list
FEW = 5  # folders that are described although nothing is to be said of them, and forecast


def print_report(reviews: Iterable[Review], many: bool) -> int:
    """Prints each review as it is ready, then a summary; `many` shortens those without any concern to a line.

    Returns:
        the exit code: 1 where there is an error.
    """
    done: list[Review] = []
    for review in reviews:
        done.append(review)
        short = many and not review.concerns and ("measured" in review.facts or not review.facts)
        print(*([f"ok  {review.place}"] if short else lines_of(review)), sep="\n", flush=True)
    errors, warnings = count(done)
    print(f"{errors or 'no'} {plural(errors, 'error')}, {warnings or 'no'} {plural(warnings, 'warning')}"
          + ("" if errors else "; nothing has to be put right"))  # fmt: skip
    return int(errors > 0)


def print_json(reviews: Iterable[Review]) -> int:
    """Prints all reviews at once; returns the exit code."""
    done = list(reviews)
    errors, warnings = count(done)
    print(json.dumps({"errors": errors, "warnings": warnings, "reviews": [one.to_json() for one in done]}, indent=1))
    return int(errors > 0)


def count(reviews: Iterable[Review]) -> tuple[int, int]:
    """How many errors and warnings."""
    levels = [concern.level for review in reviews for concern in review.concerns]
    return levels.count("error"), levels.count("warning")


def lines_of(review: Review) -> Iterator[str]:
    """One review for people: its place, what it costs and changes, and what is to be said of it."""
    yield review.place
    for label, text in _facts(review.facts):
        yield f"  {label:<10} {UserError(text)}"
    if not review.facts and not review.concerns:
        yield "  nothing to be said"
    for concern in review.concerns:
        message = concern.message.removeprefix(f"{review.place}: ").removeprefix(f"{review.place}/")  # stands above
        yield f"  {concern.level.upper():<10} {message}"


def _facts(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    facts = dict(facts)
    if "measured" in facts:
        yield "measured", facts.pop("measured")
    if "parameters" in facts:
        trainable, total, storage = (facts.pop(key) for key in ("trainable", "parameters", "storage"))
        known = trainable is not None
        yield (
            "trains",
            f"{trainable:,} of {total:,} parameters ({100 * trainable / total:.3g} %)" if known else _ONLY_A_RUN,
        )
        yield "stores", human_bytes(storage) if storage is not None else _ONLY_A_RUN
    if "changed" in facts:
        changes = [f"{key} {before} -> {after}" for key, (before, after) in facts.pop("changed").items()]
        yield "changes", "; ".join(changes) or "no parameter of the task's protocol"
    for key, value in facts.items():
        yield key, _words(value)


_ONLY_A_RUN = "only a run with real weights tells"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_words(item)}" if key else _words(item) for key, item in value.items())
    if isinstance(value, list):
        more = f" and {len(value) - MOST_ITEMS} more" if len(value) > MOST_ITEMS else ""
        return ", ".join(map(_words, value[:MOST_ITEMS])) + more or "none"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
