"""Compares run.py's training loop and evaluation with what people would use instead; prints a Markdown table.

    python benchmarks/loop.py                                   # the whole comparison
    python benchmarks/loop.py --rounds 1 --steps 5 --eval-rows 40   # does it still run?

Every round runs each contestant once, one after the other, so that whatever else the machine does meets all of them;
speeds are medians over rounds, and ratios are taken within a round. benchmarks/README.md explains the table.
"""

import argparse
import contextlib
import io
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the file runs as it is, from any folder

from benchmarks.decoding import Examination  # noqa: E402
from benchmarks.training import EXPERIMENT, LOOPS, Arena  # noqa: E402
from harness.devices import choose_device, hardware, system_info  # noqa: E402
from harness.models import quiet_libraries  # noqa: E402
from harness.result.provenance import git_state, package_info  # noqa: E402

OURS = "run.py"
TARGETS = {
    "run.py, unmeasured": 0.98,
    "bare": 0.97,
    "Trainer": 1.3,
    "plain generate": 1.3,
}  # of the ratio ours / theirs


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=35, help="timed optimizer steps per loop and round (default 35)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before the clock starts (default 5)")
    parser.add_argument("--rounds", type=int, default=7, help="times that every contestant runs (default 7)")
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[4, 32], help="of training (default 4 32)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these training loops beside run.py (default: all)")
    parser.add_argument("--eval-rows", type=int, default=400, help="prompts per evaluation; 0 for none (default 400)")
    parser.add_argument("--eval-batch-size", type=int, default=50, help="of evaluation (default 50)")
    parser.add_argument(
        "--eval-train-steps", type=int, nargs="*", default=[20, 160],
        help="training before the evaluation: little, so that some answers never end, and all (default 20 160)",
    )  # fmt: skip
    parser.add_argument("--device", default=None, help="cpu, cuda, xpu, mps; default: the best there is")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark-loop.json"), help="the JSON to write")
    arguments = parser.parse_args(argv)
    if min(arguments.steps, arguments.warmup, arguments.rounds) < 1:
        parser.error("--steps, --warmup and --rounds must be at least 1")
    unknown = set(arguments.only or ()) - set(LOOPS)
    if unknown:
        parser.error(f"--only: unknown {min(unknown)!r}; known are {', '.join(LOOPS)}")
    return arguments


def chosen(arguments: argparse.Namespace) -> list[str]:
    """Names of the training loops that take part."""
    return list(LOOPS) if arguments.only is None else [OURS, *arguments.only]


def compare(contestants: dict[str, Callable[[], float]], rounds: int, bar: tqdm) -> dict[str, list[float]]:
    """Speeds of each contestant in each round. The order turns by one from round to round: nobody is always first."""
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds):
        for position in range(len(names)):
            name = names[(turn + position) % len(names)]
            bar.set_postfix_str(name)
            with quiet():
                speeds[name].append(contestants[name]())
            bar.update()
    return speeds


@contextlib.contextmanager
def quiet():
    """Keeps the contestants' own progress bars, which they still draw, off the screen."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def table_rows(kind: str, batch_size: int, speeds: dict[str, list[float]]) -> list[dict[str, Any]]:
    """One row per contestant: its speeds, and our speed over its own, round by round."""
    return [
        {
            "kind": kind,
            "batch_size": batch_size,
            "name": name,
            "speeds": values,
            "ratios": None if name == OURS else [a / b for a, b in zip(speeds[OURS], values, strict=True)],
            "target": TARGETS.get(name),
        }
        for name, values in speeds.items()
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table; medians with the lowest and highest round."""
    lines = [
        "| | batch | contestant | speed | run.py / this | target |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for row in rows:
        unit = "tokens/s" if row["kind"] == "training" else "rows/s"
        ratio = "" if row["ratios"] is None else f"**{spread(row['ratios'], '.2f')}"
        ratio = ratio.replace(" (", "** (", 1)
        target = "" if row["target"] is None else f"≥ {row['target']}"
        speed = f"{spread(row['speeds'], ',.0f' if row['kind'] == 'training' else ',.1f')} {unit}"
        lines.append(f"| {row['kind']} | {row['batch_size']} | {row['name']} | {speed} | {ratio} | {target} |")
    return "\n".join(lines)


def spread(values: list[float], form: str) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def measure(
    arguments: argparse.Namespace, device: torch.device, folder: Path
) -> tuple[list[dict[str, Any]], int, dict[int, float]]:
    """The table's rows, how many evaluated rows were answered differently, and the packing bound by training steps."""
    rows, differing, bounds = [], 0, {}
    states = arguments.eval_train_steps if arguments.eval_rows else []
    total = arguments.rounds * (len(chosen(arguments)) * len(arguments.batch_sizes) + 2 * len(states))
    with tqdm(total=total, desc="benchmark", unit="run", dynamic_ncols=True, file=sys.stderr) as bar:
        for size in arguments.batch_sizes:
            with quiet():
                arena = Arena(size, arguments.steps, arguments.warmup, device, folder)
            loops = {name: loop for name, loop in arena.loops().items() if name in chosen(arguments)}
            rows += table_rows("training", size, compare(loops, arguments.rounds, bar))
        for steps in states:
            bar.set_postfix_str("training for the evaluation")
            size = arguments.eval_batch_size
            with quiet():
                examination = Examination(arguments.eval_rows, size, steps, device, folder)
            kind = f"evaluation after {steps} steps"
            rows += table_rows(kind, size, compare(examination.evaluations(), arguments.rounds, bar))
            differing += examination.differing
            bounds[steps] = examination.bound
    return rows, differing, bounds


def main(argv: list[str] | None = None) -> int:
    """Measures, prints the table and writes the JSON."""
    arguments = parse_arguments(argv)
    logging.getLogger("run").setLevel(logging.WARNING)
    quiet_libraries()
    device = choose_device(arguments.device)
    machine, packages = hardware(device), package_info()
    with tempfile.TemporaryDirectory() as folder:
        rows, differing, bounds = measure(arguments, device, Path(folder))
    report = {
        "created_at": datetime.now(UTC).isoformat(),
        "settings": {**vars(arguments), "output": str(arguments.output), "experiment": EXPERIMENT},
        "hardware": machine,
        "system": system_info(device),
        "packages": packages,
        "git": git_state(ROOT),
        "rows_answered_differently": differing,
        "packing_bounds": bounds,
        "rows": rows,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    versions = ", ".join(f"{name} {packages[f'{name}-version']}" for name in ("torch", "transformers", "peft"))
    place = machine["accelerator"] or f"{machine['cpu']}, {machine['threads']} threads"
    print(f"{place}; {versions}; {arguments.rounds} rounds of {arguments.steps} steps\n")
    print(markdown(rows))
    for steps, bound in bounds.items():
        print(f"\nAfter {steps} steps, plain generate decodes {bound:.2f} tokens for each one of an answer.")
    if arguments.eval_rows:
        asked = arguments.eval_rows * len(arguments.eval_train_steps)
        print(f"\n{differing} of {asked} answers differ between run.py's evaluation and plain generate.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
