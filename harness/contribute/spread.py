"""Whether a task tells a trained model from an untrained one: a run of one of its embedded experiments."""

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.contribute.bounded import ENVIRONMENT
from harness.contribute.concerns import Concern, error
from harness.files import ROOT, display_path
from harness.result.files import read_object

SECONDS = 1800  # of a run on the embedded model, which takes one minute or two


def smallest_experiment(task_folder: Path) -> Path | None:
    """The embedded experiment that stands for the task: its first of LoRA, else its first."""
    found = sorted(
        task_folder.glob("experiments/*/embedded-*"), key=lambda path: (path.parent.name != "lora", str(path))
    )
    return found[0] if found else None


def score_spread(folder: Path, root: Path = ROOT) -> tuple[dict[str, Any], list[Concern]]:
    """Trains the experiment and compares the score with the untouched base model's.

    A base model that cannot answer, since its head is new, counts as one that always gives the most frequent answer.

    Returns:
        the scores by subset, and an error for each whose difference could be chance.
    """
    where, facts, concerns = display_path(folder), {}, []
    with tempfile.TemporaryDirectory() as output:
        code, _, words = run_on_cpu(folder, root, "--output", output)
        if code:
            return facts, [error(f"{where}: its run failed: {words}")]
        for path in sorted(Path(output, "results").glob("*/*/*.json")):
            result = read_object(path)
            task, quality = result["task"], result["quality"]
            before = (
                quality["base_score"] if quality["base_score"] is not None else quality["majority_baseline"] or 0.0
            )
            facts[task["subset"] or ""] = [before, quality["test_score"]]
            concerns += _too_narrow(where, task, before, quality["test_score"])
    return facts, concerns


def _too_narrow(where: str, task: dict[str, Any], before: float, after: float) -> list[Concern]:
    # Scores from 0 to 1 vary by at most a half, so that this is two standard errors of the difference or more.
    chance = 2 * math.sqrt(2 * 0.25 / task["test_rows"])
    gain = (after - before) * (1 if task["higher_is_better"] else -1)
    if gain > chance:
        return []
    part = f" ({task['subset']})" if task["subset"] else ""
    rows = f"{task['test_rows']} test rows"
    return [error(f"{where}{part}: untrained {before:.3f}, trained {after:.3f}: of {rows} that could be chance; make "
                  "more of them, or a task that this model can learn")]  # fmt: skip


def run_on_cpu(folder: Path, root: Path, *arguments: str) -> tuple[int, str, str]:
    """Runs run.py without the hub: its exit code, and the last lines of standard output and error."""
    command = [sys.executable, "run.py", str(folder), "--device", "cpu", *arguments]
    environment = os.environ | ENVIRONMENT
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False,
                              timeout=SECONDS)  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, "", f"it takes more than {SECONDS} s"
    return done.returncode, last_line(done.stdout), last_line(done.stderr)


def last_line(text: str) -> str:
    """What a process said in the end; of run.py that is the error."""
    return (text.strip().splitlines() or ["no word of why"])[-1].removeprefix("error: ")
