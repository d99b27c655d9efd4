"""`python -m harness.compare A B`: is the difference real? harness/result/compare.py says."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError, run_command
from harness.experiment import ROOT
from harness.result.compare import find_results, parse_experiment, report
from harness.result.provenance import committed
from harness.result.read import read_results
from harness.result.uncertainty import CONFIDENCE


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.compare",
        description="Is the difference real? Compares the test scores of two experiments, seeds as units. Results of "
        "different hardware count together and are marked; results of different protocols, models or data never do.",
        epilog="exit codes: 0 compared, whatever the verdict; 2 something you can put right, such as missing results",
    )
    parser.add_argument("a", metavar="A", help="<method>/<name>, or the experiment's folder")
    parser.add_argument("b", metavar="B", help="the other one")
    parser.add_argument("--task", help="compare on this task only")
    parser.add_argument("--subset", help="compare on this subset only")
    parser.add_argument(
        "--results",
        action="append",
        type=Path,
        metavar="DIR",
        help="folder of results, searched recursively "
        "(default: the checkout's results/); repeatable, of a run found twice the newest counts",
    )
    parser.add_argument("--committed", action="store_true", help="only the checkout's results that git tracks")
    parser.add_argument(
        "--confidence", type=float, default=CONFIDENCE, help="of intervals and verdict (default: 0.95)"
    )
    return parser.parse_args(argv)


def start(argv: Sequence[str] | None) -> None:
    """Prints what the arguments ask for.

    Raises:
        UserError: they cannot be carried out.
    """
    arguments = parse_arguments(argv)
    a, b = parse_experiment(arguments.a), parse_experiment(arguments.b)
    tasks = sorted({task for task in (a.task, b.task, arguments.task) if task})
    if len(tasks) > 1:
        raise UserError(f"{arguments.a}, {arguments.b}: of different tasks, {' and '.join(tasks)}; choose one")
    if a.name == b.name:
        raise UserError(f"{a.name}: compared with itself; name two experiments")
    if not 0.5 <= arguments.confidence < 1:
        raise UserError(f"--confidence {arguments.confidence}: expected a number from 0.5 to below 1, such as 0.95")
    folders = arguments.results or [ROOT / "results"]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--results {folder}: no such folder; expected one that holds <Task>/<hardware>/*.json")
    if arguments.committed and arguments.results:
        raise UserError("--committed: is of the checkout's results; leave out --results")
    found = read_results(committed(ROOT) if arguments.committed else folders)
    for side in (a, b):
        find_results(side, found, folders, tasks[0] if tasks else None, arguments.subset)
    a.notes[:0] = map(str, found.skipped)
    print(report(a, b, arguments.confidence))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
