"""What every method costs on this machine: profiles each experiment of a real base model, then prints the table.

    python -m harness.profiles                     # all of them, skipping profiles that exist
    python -m harness.profiles llama-3.2-3B        # those whose path contains the text
    python -m harness.profiles --table             # only prints what results/profiles/ holds

Nothing is downloaded (`load_profile` in harness/modes.py). A model too large for the device has a line too: out of
memory.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError, run_command
from harness.files import ROOT
from harness.result.comparable import COSTS
from harness.result.costs import costs_table
from harness.result.read import read_results
from harness.result.tables import partition
from harness.suite.drive import run_all
from harness.suite.plans import Wanted, estimate, make_plans, state_of
from harness.suite.pools import Job, local_pool


def profile_all(pattern: str, device: str | None, output: Path) -> int:
    """Profiles every experiment of a real base model whose path contains the text, as `suite.py --profile` does.

    Returns:
        0 where every one is profiled or ran out of memory, 1 where one failed, 130 when it was stopped.

    Raises:
        UserError: there is no such experiment.
    """
    plans = make_plans(Wanted((pattern,), profile=True, output=output))
    real = [plan for plan in plans if not plan.experiment.params.model_id.startswith("embedded/")]
    if not real:
        raise UserError(f"{pattern!r}: names embedded experiments only, which run in a minute; profile others")
    jobs = [Job(plan, ("--device", device) if device else ()) for plan in real if state_of(plan) == "missing"]
    where = local_pool(device, None, None)
    return run_all(jobs, where, estimate([job.plan for job in jobs], output), output) if jobs else 0


def print_tables(output: Path, pattern: str = "") -> None:
    """Prints a table for whatever has comparable costs in results/profiles/, and on stderr what was left out."""
    found = read_results([output / "results" / "profiles"])
    for skipped in found.skipped:
        print(f"warning: {skipped}", file=sys.stderr)
    places = ((f"method_comparison/{one['task']}/experiments/{one['experiment']}", one) for one in found.records)
    shown = [one for place, one in places if one["profile"] and pattern in place]
    for profiles in partition(shown, COSTS):
        first = profiles[0]
        task = "/".join(filter(None, (first["task"], first["subset"])))
        device = first["accelerator"] or f"{first['hardware']} ({first['cpu']})"
        print(f"{task}, {first['model']} on {device}, protocol {first['protocol']}, random weights:\n")
        print(f"{costs_table(profiles)}\n")


def start(argv: Sequence[str] | None) -> int:
    """Profiles and prints; returns the exit code of `profile_all`."""
    parser = argparse.ArgumentParser(prog="python -m harness.profiles", description=__doc__.splitlines()[0])
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiments' paths")
    parser.add_argument("--table", action="store_true", help="profile nothing, only print")
    parser.add_argument("--device", help="as in run.py")
    parser.add_argument(
        "--output", type=Path, default=ROOT, help="where results/ and runs/ are (default: the checkout)"
    )
    arguments = parser.parse_args(argv)
    output = arguments.output.resolve()
    code = 0 if arguments.table else profile_all(arguments.pattern, arguments.device, output)
    print_tables(output, arguments.pattern)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
