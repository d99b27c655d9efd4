"""The Markdown tables of a task's results.

    python -m harness.table <Task> embedded

prints the results whose experiment (<method>/<name>) contains "embedded", best first; with --costs, what each of them
costs; with --best, of each method the experiment that was best on valid, with intervals and costs; with --tuning, how
they were tuned. What may be compared shares a table, nothing else does
(harness/result/comparable.py); subsets have tables of their own, and one more has their means.
"""

import argparse
import sys
from collections.abc import Sequence

from harness.errors import UserError, run_command
from harness.experiment import ROOT
from harness.result.board import board_table
from harness.result.comparable import Record, unranked
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
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--costs", action="store_true", help="memory, speed, storage and inference instead of scores")
    kind.add_argument("--best", action="store_true", help="of each method the experiment that was best on valid")
    kind.add_argument("--tuning", action="store_true", help="the values that were tried, and their scores on valid")
    arguments = parser.parse_args(argv)
    if arguments.tuning:
        print(rates_table(tunings_of(arguments.task, arguments.pattern)))
        return
    records = ranked(arguments.task, arguments.pattern, arguments.committed)
    shown = [one for one in records if arguments.subset in (None, one["subset"])]
    if not shown:
        raise UserError(f"no results of {arguments.task} match; run an experiment first: python run.py --help")
    if arguments.best:
        print(board_table(shown, dict(tunings_of(arguments.task))))
        return
    print(task_tables(shown, arguments.costs) + "\n")


def ranked(task: str, pattern: str = "", only_committed: bool = False) -> list[Record]:
    """A task's results that tables rank, sorted by file; on stderr which files were left out and why.

    Args:
        task: its name.
        pattern: part of the experiment's name.
        only_committed: those that git tracks.
    """
    found = read_results(committed(ROOT, task) if only_committed else [ROOT / "results" / task], task)
    for skipped in found.skipped:
        print(f"warning: {skipped}", file=sys.stderr)
    kept = []
    for record in sorted(found.records, key=lambda one: one["source"]):
        if pattern not in record["experiment"]:
            continue
        if reason := unranked(record):
            print(f"warning: {record['source']} left out: {reason}", file=sys.stderr)
        else:
            kept.append(record)
    return kept


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
