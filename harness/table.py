"""The Markdown tables of a task's results.

    python -m harness.table <Task> embedded

prints the results whose experiment (<method>/<name>) contains "embedded", best first; with --costs, what each of them
costs; with --tuning, how they were tuned. What may be compared shares a table, nothing else does
(harness/result/comparable.py); subsets have tables of their own, and one more has their means.
"""

import argparse
import sys
from collections.abc import Sequence

from harness.errors import UserError, run_command
from harness.experiment import ROOT
from harness.result.comparable import unranked
from harness.result.provenance import committed
from harness.result.read import read_results
from harness.result.tables import task_tables
from harness.result.tuning import rates_table, tunings_of


def start(argv: Sequence[str] | None) -> None:
    """Prints the tables, and on stderr which files were left out and why.

    Raises:
        UserError: nothing matches.
    """
    parser = argparse.ArgumentParser(prog="python -m harness.table", description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiment's name")
    parser.add_argument("--subset", help="of the task (default: all)")
    parser.add_argument("--committed", action="store_true", help="only results that git tracks")
    parser.add_argument("--costs", action="store_true", help="memory, speed, storage and inference instead of scores")
    parser.add_argument("--tuning", action="store_true", help="the values that were tried, and their scores on valid")
    arguments = parser.parse_args(argv)
    if arguments.tuning:
        print(rates_table(tunings_of(arguments.task, arguments.pattern)))
        return
    folder = ROOT / "results" / arguments.task
    paths = committed(ROOT, arguments.task) if arguments.committed else [folder]
    found = read_results(paths, arguments.task)
    for skipped in found.skipped:
        print(f"warning: {skipped}", file=sys.stderr)
    records = [
        record
        for record in found.records
        if arguments.pattern in record["experiment"] and arguments.subset in (None, record["subset"])
    ]
    shown = []
    for record in sorted(records, key=lambda one: one["source"]):
        if reason := unranked(record):
            print(f"warning: {record['source']} left out: {reason}", file=sys.stderr)
        else:
            shown.append(record)
    if not shown:
        raise UserError(f"no results of {arguments.task} match; run an experiment first: python run.py --help")
    print(task_tables(shown, arguments.costs) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
