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
from harness.result.board import Board, board_table, boards
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
    shown = ranked(arguments.task, arguments.pattern, arguments.subset, arguments.committed)
    print(
        board_table(boards_of(arguments.task, shown)) if arguments.best else task_tables(shown, arguments.costs) + "\n"
    )


def boards_of(task: str, records: Sequence[Record]) -> list[Board]:
    """The boards of a task's ranked results; on stderr what is on none since nothing says how it was tuned.

    Raises:
        UserError: no experiment was tuned.
    """
    found = boards(records, dict(tunings_of(task)))
    if not found:
        raise UserError(f"no tuned results of {task} match; see python suite.py tune --help")
    for name in dict.fromkeys(name for board in found for name in board.untuned):
        print(f"warning: {name} left out: untuned", file=sys.stderr)
    return found


def ranked(task: str, pattern: str = "", subset: str | None = None, only_committed: bool = False) -> list[Record]:
    """A task's results that tables rank, sorted by file; on stderr which files were left out and why.

    Args:
        task: its name.
        pattern: part of the experiment's name.
        subset: of the task; None for all.
        only_committed: those that git tracks.

    Raises:
        UserError: nothing matches.
    """
    found = read_results(committed(ROOT, task) if only_committed else [ROOT / "results" / task], task)
    for skipped in found.skipped:
        print(f"warning: {skipped}", file=sys.stderr)
    kept = []
    for record in sorted(found.records, key=lambda one: one["source"]):
        if pattern not in record["experiment"] or subset not in (None, record["subset"]):
            continue
        if reason := unranked(record):
            print(f"warning: {record['source']} left out: {reason}", file=sys.stderr)
        else:
            kept.append(record)
    if not kept:
        raise UserError(f"no results of {task} match; run an experiment first: python run.py --help")
    return kept


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
