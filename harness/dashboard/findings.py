"""What the results at hand say about claims of the literature: one report per claim, one finding per comparable group.

A claim is data, an entry of harness/dashboard/claims.py; its check looks at one group of comparable runs and returns
one line per comparison. A line holds or does not hold only where its whole 95 % interval lies on one side of the
claim's margin. An interval on both sides is undecided: no difference seen is not the same as equal.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas

from harness.dashboard.estimates import Verdict
from harness.dashboard.evidence import Group, run_groups

CHANCE = (
    "Each comparison is made at 95 % confidence on its own: of many, chance decides a few wrongly. "
    "A verdict speaks of these models, tasks and sizes only."
)


@dataclass(frozen=True)
class Line:
    """One comparison: its verdict, its figures as a sentence, the experiments it is about."""

    verdict: Verdict
    text: str
    experiments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One claim: `statement` as it is checked, `rule` how it is judged, `needs` what must have been measured.

    `check` returns a group's lines; none at all where the claim says nothing about the group.
    """

    key: str
    title: str
    statement: str
    source: str
    url: str
    rule: str
    needs: str
    check: Callable[[Group], list[Line]]


@dataclass(frozen=True)
class Finding:
    """A claim in one group of comparable runs; `where` is the group for people, `group` its name in the frames."""

    verdict: Verdict
    where: str
    group: str
    lines: tuple[Line, ...]

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments that were compared."""
        return tuple(dict.fromkeys(name for line in self.lines for name in line.experiments))


@dataclass(frozen=True)
class ClaimReport:
    """A claim against all results at hand."""

    claim: Claim
    verdict: Verdict
    summary: str
    findings: tuple[Finding, ...]

    def table(self) -> pandas.DataFrame:
        """One row per comparison: where, verdict, figures."""
        rows = [(finding.where, line.verdict, line.text) for finding in self.findings for line in finding.lines]
        return pandas.DataFrame(rows, columns=["where", "verdict", "figures"])


def findings(runs: pandas.DataFrame, experiments: pandas.DataFrame, claims: Iterable[Claim]) -> list[ClaimReport]:
    """Checks each claim in every group of comparable runs; the frames are those of load and of by_experiment."""
    found = run_groups(runs, experiments)
    return [_report(claim, found) for claim in claims]


def _report(claim: Claim, found: Sequence[Group]) -> ClaimReport:
    parts = []
    for group in found:
        lines = tuple(claim.check(group))
        if lines:
            verdict = combined([line.verdict for line in lines])
            parts.append(Finding(verdict, group.label, group.name, lines))
    verdicts = [line.verdict for part in parts for line in part.lines]
    return ClaimReport(claim, combined(verdicts), _summary(claim, verdicts), tuple(parts))


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of many: mixed where comparisons contradict each other, undecided where most are undecided."""
    measured = Counter(verdict for verdict in verdicts if verdict != "not measured")
    if not measured:
        return "not measured"
    if measured["mixed"] or (measured["holds"] and measured["does not hold"]):
        return "mixed"
    if 2 * measured["undecided"] > measured.total():
        return "undecided"
    return "holds" if measured["holds"] else "does not hold"


def _summary(claim: Claim, verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdicts)
    measured = counts.total() - counts["not measured"]
    if not measured:
        return f"Not measured: this needs {claim.needs}."
    decided = [f"{verdict} in {counts[verdict]}" for verdict in ("holds", "does not hold") if counts[verdict]]
    decided += [f"undecided in {counts['undecided']}"] if counts["undecided"] else []
    comparisons = "1 comparison" if measured == 1 else f"{measured} comparisons"
    missing = f"; {counts['not measured']} more were not measured" if counts["not measured"] else ""
    return f"Of {comparisons}: {', '.join(decided)}{missing}."
