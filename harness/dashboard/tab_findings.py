"""The Findings page: claims of the literature, each checked against the results at hand."""

from typing import Any

import gradio

from harness.dashboard.choices import Data
from harness.dashboard.claims import CLAIMS
from harness.dashboard.estimates import VERDICTS
from harness.dashboard.findings import CHANCE, ClaimReport, Finding, findings
from harness.dashboard.markup import Safe, badge, details, join, table, tag
from harness.dashboard.selection import Shown
from harness.dashboard.state import View

HELP = (
    "What the literature claims, checked against all results at hand, whatever is chosen above; nothing is compared "
    "across models, hardware or protocols."
)
KINDS = {"holds": "good", "does not hold": "bad", "mixed": "warn", "undecided": "warn", "not measured": ""}


class FindingsTab:
    """Components of the page and what they show."""

    def __init__(self) -> None:
        gradio.HTML(tag("p", HELP, class_="help"), elem_classes="pane")
        self.cards = gradio.HTML(elem_classes="pane", elem_id="findings-cards")
        self.controls: dict[str, Any] = {}
        self.outputs = [self.cards]
        self._known: tuple[Data | None, Safe] = (None, Safe(""))

    def render(self, data: Data, view: View, shown: Shown) -> dict[Any, Any]:
        """What the components show; computed once for the results, since no choice changes it."""
        if self._known[0] is not data:
            self._known = (data, page(findings(data.runs, data.experiments, CLAIMS)))
        return {self.cards: self._known[1]}


def page(reports: list[ClaimReport]) -> Safe:
    """How often each verdict was reached, then a card per claim."""
    counts = {verdict: sum(report.verdict == verdict for report in reports) for verdict in VERDICTS}
    tally = join([join([badge(verdict, KINDS[verdict]), f" {count}  "]) for verdict, count in counts.items() if count])
    return join([tag("p", tally), tag("p", CHANCE, class_="quiet"), *(card(report) for report in reports)])


def card(report: ClaimReport) -> Safe:
    """A claim, its verdict, and the figures behind it."""
    claim = report.claim
    source = tag("a", claim.source, href=claim.url, rel="noreferrer", target="_blank") if claim.url else claim.source
    head = tag("h3", claim.title, " ", badge(report.verdict, KINDS[report.verdict]))
    text = [tag("p", claim.statement), tag("p", tag("b", report.summary))]
    text.append(tag("p", "Judged by: ", claim.rule, " Source: ", source, class_="quiet"))
    if report.findings:
        rows = [row for finding in report.findings for row in _rows(finding)]
        body = table(["Where", "Verdict", "Figures"], rows)
        text.append(details(f"Figures of {len(report.findings)} comparable groups", body))
    return tag("div", head, *text, class_="card claim", data_claim=claim.key)


def _rows(finding: Finding) -> list[list[Any]]:
    return [[finding.where, badge(line.verdict, KINDS[line.verdict]), line.text] for line in finding.lines]
