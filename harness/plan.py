"""A run that could be made: which experiment, subset and seed, in which mode; its command, and where its result lies.

A plan needs no torch, so that tools which start runs as processes stay light. What it cannot know is the hardware that
the run will meet, whose slug is part of a result's path.
"""

import json
import math
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.experiment import ROOT, Experiment, display_path
from harness.overlay import flat
from harness.result.comparable import Record
from harness.result.provenance import fingerprint
from harness.result.read import read_results
from harness.result.schema import EXIT_CODES
from harness.result.store import file_name, result_path
from harness.result.subsets import mean_over_subsets


@dataclass(frozen=True)
class Plan:
    """One run.

    experiment: with the command line's seed and overrides applied.
    subset: part of the task; None where it has none.
    profile: random weights, no quality; its result lies apart.
    tuning: trained and scored on valid only; never a result.
    output: the folder that results/ and runs/ are in.
    flags: arguments that do not say what is run, such as --device; passed on when the plan is launched.
    """

    experiment: Experiment
    subset: str | None = None
    profile: bool = False
    tuning: bool = False
    output: Path = ROOT
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells this run from others of its task: <method>--<name>[--<subset>]--seed<k>."""
        return file_name(self.experiment.method, self.experiment.name, self.subset, self.experiment.params.seed)

    @property
    def is_modified(self) -> bool:
        """Whether --set changed it, so that it is no result of its folder."""
        return bool(self.experiment.overrides)

    def result_path(self, hardware: str) -> Path:
        """Where the result of this run on hardware of that slug belongs."""
        return result_path(self.output, self.experiment.task, hardware, self.name, self.profile)

    def result(self, hardware: str) -> Record | None:
        """The result at hand that can be read: in results/; of a modified run the newest in runs/ modified alike."""
        written = sorted(self.runs_folder.glob("*/result.json"), reverse=True)
        for path in written if self.is_modified else [self.result_path(hardware)]:
            for record in read_results([path]).records:
                if json.loads(record["overrides"]) == self.experiment.overrides:
                    return record
        return None

    @property
    def runs_folder(self) -> Path:
        """Where every run of this plan, whatever became of it, leaves a folder of its own."""
        apart = f"{self.name}--tuning" if self.tuning else self.name
        return self.output / "runs" / self.experiment.task / apart

    @property
    def config_fingerprint(self) -> str:
        """Of all that the folder and the command line say, the seed aside."""
        return fingerprint([self.experiment.params.fingerprinted(), self.experiment.adapter_config])

    @property
    def checkpoint_path(self) -> Path:
        """What a run of this plan goes on from when it was killed; its name says what is run, not how or where."""
        changes = [fingerprint([self.experiment.overrides])[:8]] if self.is_modified else []
        kinds = [name for name in ("profile", "tuning") if getattr(self, name)]
        name = "--".join([self.name, *kinds, *changes])
        return self.output / "runs" / "checkpoints" / self.experiment.task / f"{name}.safetensors"

    @property
    def arguments(self) -> list[str]:
        """Of run.py, for exactly this run."""
        given = [display_path(self.experiment.folder)]
        given += [] if self.subset is None else ["--subset", self.subset]
        given += ["--seed", str(self.experiment.params.seed), *(["--profile"] if self.profile else [])]
        given += ["--tune"] if self.tuning else []
        for key, value in flat(self.experiment.overrides).items():
            given += ["--set", f"{key}={json.dumps(value)}"]
        return given

    @property
    def command(self) -> str:
        """What makes the same run again, from the checkout's root."""
        return shlex.join(["python", "run.py", *self.arguments])

    def launch(self) -> int:
        """Runs it in a process of its own and returns the exit code.

        So no measurement starts from the memory that another run left behind. In a session of its own too: Ctrl-C and
        a cluster's kill reach it once, through this process, however they came.
        """
        output = [] if self.output == ROOT else ["--output", str(self.output)]
        command = [sys.executable, str(ROOT / "run.py"), *self.arguments, *self.flags, *output]
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


def still_to_run(plans: Sequence[Plan], hardware: str, overwrite: bool, skip_existing: bool) -> list[Plan]:
    """Those whose result does not exist yet; all of them where nothing would be replaced, or may be.

    Raises:
        UserError: all results exist, and nobody said to skip them.
    """
    existing = [plan for plan in plans if plan.result_path(hardware).exists()]
    if overwrite or plans[0].is_modified or plans[0].tuning or not existing:
        return list(plans)
    names = ", ".join(display_path(plan.result_path(hardware)) for plan in existing)
    if len(existing) == len(plans) and not skip_existing:
        raise UserError(f"{names}: exists; choose another --seed, --overwrite it or --skip-existing")
    print(f"already there, and not run again: {names}")
    return [plan for plan in plans if plan not in existing]


def run_each(plans: Sequence[Plan], todo: Sequence[Plan], hardware: str) -> int:
    """The subsets that are still to be run, each in a process of its own, and the mean over all of them."""
    codes: list[int] = []
    for plan in todo:
        codes.append(plan.launch())
        if codes[-1] in (2, EXIT_CODES["cancelled"]):
            break
    if len(plans) > 1 and not (plans[0].profile or plans[0].tuning):
        failed = [plan for index, plan in enumerate(todo) if index >= len(codes) or codes[index]]
        print(_mean_line(plans, failed, hardware))
    return next((code for code in codes if code), 0)


def _mean_line(plans: Sequence[Plan], failed: Sequence[Plan], hardware: str) -> str:
    """One line for the terminal: the mean score over subsets, or which of them have none.

    Args:
        plans: one for each subset.
        failed: those that were to run now and did not succeed; an older result of theirs does not count.
        hardware: slug of where they ran.
    """
    found = {plan.subset: None if plan in failed else plan.result(hardware) for plan in plans}
    missing = [subset for subset, result in found.items() if result is None or math.isnan(result["score"])]
    task = plans[0].experiment.task
    if missing:
        return f"{task}: no mean over subsets, {', '.join(missing)} did not succeed"
    mean = mean_over_subsets({subset: {result["seed"]: 100 * result["score"]} for subset, result in found.items()})
    parts = ", ".join(f"{subset} {score:.1f}" for subset, score in mean.by_subset.items())
    metric = next(iter(found.values()))["metric"]
    return f"{task}: {mean.mean:.1f} % {metric}, mean over subsets ({parts})"
