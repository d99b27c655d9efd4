"""Eight equal runs through suite.py: one after the other against two at a time, on this machine's CPU.

    python benchmarks/suite.py                       # on a machine that does nothing else
    python benchmarks/suite.py --steps 2 --runs 2    # does it still run? no figures to keep

One after the other each run has all cores; two at a time each has half of them. Every suite has an output folder of
its own, so that each scores the untouched base anew.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = "lora/embedded-llama-rank8"


def seconds_of(jobs: int, runs: int, steps: int) -> float:
    """Wall seconds of the suite with so many runs at a time."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, str(ROOT / "suite.py"), EXPERIMENT, "--task", "MetaMathQA", "--device", "cpu",
                   "--jobs", str(jobs), "--seeds", *map(str, range(runs)), "--output", output,
                   "--grid", f"max_steps={steps}", "--grid", f"eval_steps={steps}"]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def main() -> None:
    """Measures both ways in turns and prints the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps of a run")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmark-suite.json")
    arguments = parser.parse_args()
    rounds = [{jobs: seconds_of(jobs, arguments.runs, arguments.steps) for jobs in (1, 2)}
              for _ in range(arguments.rounds)]  # fmt: skip
    for one in rounds:
        print(f"{arguments.runs} runs: {one[1]:.0f} s one after the other, {one[2]:.0f} s two at a time: "
              f"{one[1] / one[2]:.2f} times as fast")  # fmt: skip
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({"runs": arguments.runs, "steps": arguments.steps, "rounds": rounds,
                                            "load": load}, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
