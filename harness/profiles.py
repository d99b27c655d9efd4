"""What every method costs on this machine: profiles each experiment of a real base model, then prints the table.

    python -m harness.profiles                     # all of them, skipping profiles that exist
    python -m harness.profiles llama-3.2-3B        # those whose path contains the text
    python -m harness.profiles --table             # only prints what results/profiles/ holds

Nothing is downloaded (`load_profile` in harness/modes.py). A model too large for the device has a line too: out of
memory.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from harness.experiment import ROOT, all_experiments, display_path
from harness.result.comparable import COSTS
from harness.result.costs import costs_table
from harness.result.read import read_results
from harness.result.schema import EXIT_CODES
from harness.result.tables import partition


def profile_all(folders: Sequence[Path], extra: Sequence[str]) -> list[str]:
    """Profiles every folder in a process of its own; returns those that neither succeeded nor ran out of memory."""
    failed = []
    for folder in tqdm(folders, desc="profiles", unit="experiment", dynamic_ncols=True):
        command = [sys.executable, str(ROOT / "run.py"), str(folder), "--profile", "--skip-existing", *extra]
        code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if code == EXIT_CODES["cancelled"]:
            raise KeyboardInterrupt
        if code not in (0, EXIT_CODES["out_of_memory"]):
            failed.append(f"{display_path(folder)} (exit code {code})")
    return failed


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


def main(argv: Sequence[str] | None = None) -> int:
    """Profiles and prints; returns 0 where every experiment was profiled or ran out of memory, else 1."""
    parser = argparse.ArgumentParser(prog="python -m harness.profiles", description=__doc__.splitlines()[0])
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiments' paths")
    parser.add_argument("--table", action="store_true", help="profile nothing, only print")
    parser.add_argument("--device", help="as in run.py")
    parser.add_argument(
        "--output", type=Path, default=ROOT, help="where results/ and runs/ are (default: the checkout)"
    )
    arguments = parser.parse_args(argv)
    folders = [folder for folder in all_experiments() if "embedded" not in folder.name]
    folders = [folder for folder in folders if arguments.pattern in display_path(folder)]
    if not folders:
        parser.error(f"no experiment's path contains {arguments.pattern!r}; they are in method_comparison/")
    device = ["--device", arguments.device] if arguments.device else []
    failed = [] if arguments.table else profile_all(folders, ["--output", str(arguments.output), *device])
    print_tables(arguments.output, arguments.pattern)
    for line in failed:
        print(f"error: not profiled: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
