"""What results say of the literature's claims: of each its verdict, or with its key every comparison behind it.

    python -m harness.findings --committed
    python -m harness.findings --committed lora-forgets-less

The claims and how each is judged are in harness/dashboard/claims.py; the dashboard's page of findings shows the same.
Needs pandas, which requirements-app.txt has.
"""

import argparse
import sys
from collections.abc import Sequence

from harness.dashboard.claims import CLAIMS
from harness.dashboard.data import read_data
from harness.dashboard.findings import CHANCE, ClaimReport, findings
from harness.errors import UserError, run_command
from harness.files import ROOT
from harness.result.provenance import committed
from harness.result.tables import markdown


def start(argv: Sequence[str] | None) -> None:
    """Prints the verdicts as a Markdown table, or one claim with its comparisons.

    Raises:
        UserError: there are no results, or no claim has that key.
    """
    parser = argparse.ArgumentParser(prog="python -m harness.findings", description=__doc__.splitlines()[0])
    parser.add_argument("key", nargs="?", help="of a claim, such as lora-forgets-less: show its comparisons")
    parser.add_argument("--committed", action="store_true", help="only results that git tracks")
    arguments = parser.parse_args(argv)
    chosen = [claim for claim in CLAIMS if arguments.key in (None, claim.key)]
    if not chosen:
        raise UserError(f"{arguments.key}: expected one of {', '.join(claim.key for claim in CLAIMS)}")
    data = read_data(committed(ROOT) if arguments.committed else [ROOT / "results"])
    for skipped in data.skipped:
        print(f"warning: {skipped}", file=sys.stderr)
    if data.runs.empty:
        raise UserError("no results; run an experiment first: python run.py --help")
    reports = findings(data.runs, chosen)
    print(comparisons(reports[0]) if arguments.key else verdicts(reports))


def verdicts(reports: Sequence[ClaimReport]) -> str:
    """Markdown with a line for each claim."""
    body = [[one.claim.title, one.verdict, one.summary, f"`{one.claim.key}`"] for one in reports]
    return markdown(["claim", "verdict", "comparisons", "key"], body)


def comparisons(report: ClaimReport) -> str:
    """Markdown of one claim: what is checked, how it is judged, its verdict and the comparisons behind it."""
    claim = report.claim
    head = [f"**{claim.title}**: {report.verdict}. {report.summary}", f"{claim.statement} {claim.rule} {CHANCE}"]
    body = [[line.where, line.text, line.verdict] for line in report.lines]
    return "\n\n".join([*head, markdown(["results", "comparison", "verdict"], body)])


def main(argv: Sequence[str] | None = None) -> int:
    """Prints and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
