"""What every method costs on this machine: profiles each experiment of a real base model, then prints the table.

    python -m harness.profiles                     # all of them, skipping profiles that exist
    python -m harness.profiles llama-3.2-3B        # those whose path contains the text
    python -m harness.profiles --table             # only prints what results/profiles/ holds

Nothing is downloaded (harness/profiling.py). A model too large for the device has a line too: out of memory.
"""

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from harness.experiment import ROOT, all_experiments, display_path
from harness.result.costs import costs_table
from harness.result.schema import EXIT_CODES, Result
from harness.result.store import read_result


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
    """Prints a table for each device and base model that results/profiles/ has profiles of."""
    groups: dict[tuple[str, str, str, int], list[Result]] = defaultdict(list)
    for path in sorted((output / "results" / "profiles").glob("*/*.json")):
        result = read_result(path)
        config, hardware = result.run_info.train_config, result.hardware
        device = hardware["accelerator"] or f"{hardware['slug']} ({hardware['cpu']})"
        task = "/".join(filter(None, (result.task.name, result.task.subset)))
        if pattern in f"method_comparison/{result.task.name}/experiments/{result.run_info.experiment_name}":
            groups[task, config["model_id"], device, result.protocol].append(result)
    for (task, model, device, protocol), profiles in groups.items():
        print(f"{task}, {model} on {device}, protocol {protocol}, random weights:\n\n{costs_table(profiles)}\n")


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
