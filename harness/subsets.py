"""Tasks with subsets: each is run in a process of its own, and together they have a mean."""

import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.experiment import ROOT, display_path
from harness.result.schema import EXIT_CODES, Result
from harness.result.store import file_name, read_result, result_path

if TYPE_CHECKING:
    from run import Run


def still_to_run(runs: Sequence["Run"], output: Path, overwrite: bool, skip_existing: bool) -> list["Run"]:
    """Those of the runs whose result does not exist yet; all of them where nothing would be replaced, or may be.

    Raises:
        UserError: all results exist, and nobody said to skip them.
    """
    existing = [run for run in runs if result_path(output, run.result).exists()]
    if overwrite or runs[0].experiment.overrides or not existing:
        return list(runs)
    names = ", ".join(display_path(result_path(output, run.result)) for run in existing)
    if len(existing) == len(runs) and not skip_existing:
        raise UserError(f"{names}: exists; choose another --seed, --overwrite it or --skip-existing")
    print(f"already there, and not run again: {names}")
    return [run for run in runs if run not in existing]


def run_subset(run: "Run", arguments: Sequence[str]) -> int:
    """Runs one subset as `run.py --subset <it> <arguments>` and returns the exit code.

    A process of its own, so that no measurement starts from the memory that the subset before it left behind. In a
    session of its own too: Ctrl-C and a cluster's kill reach it once, through this process, however they came.
    """
    command = [sys.executable, str(ROOT / "run.py"), "--subset", run.result.task.subset, *arguments]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()  # not SIGINT, which a background job ignores
            try:
                process.wait()
            except KeyboardInterrupt:
                process.kill()
            return EXIT_CODES["cancelled"]


def mean_over_subsets(runs: Sequence["Run"], failed: Sequence["Run"], output: Path) -> str:
    """One line: the mean score over subsets, or which of them have none.

    Args:
        runs: one for each subset.
        failed: those that were to run now and did not succeed; an older result of theirs does not count.
        output: where results/ and runs/ are.
    """
    found = {run.result.task.subset: None if run in failed else _latest(run, output) for run in runs}
    missing = [subset for subset, result in found.items() if result is None or result.quality.test_score is None]
    task = runs[0].result.task
    if missing:
        return f"{task.name}: no mean over subsets, {', '.join(missing)} did not succeed"
    scores = [100 * result.quality.test_score for result in found.values()]
    parts = ", ".join(f"{subset} {score:.1f}" for subset, score in zip(found, scores, strict=True))
    return f"{task.name}: {statistics.fmean(scores):.1f} % {task.metric}, mean over subsets ({parts})"


def _latest(run: "Run", output: Path) -> Result | None:
    """The result in results/; of a modified run, which has none there, the newest in runs/ that was modified alike."""
    if not run.experiment.overrides:
        path = result_path(output, run.result)
        return read_result(path) if path.exists() else None
    folder = output / "runs" / run.result.task.name / file_name(run.result)
    written = (read_result(path) for path in sorted(folder.glob("*/result.json"), reverse=True))
    return next((result for result in written if result.overrides == run.experiment.overrides), None)
