"""The command line of suite.py: which runs, where they are made, or only what would be."""

import argparse
import itertools
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.arguments import add_gpu, natural, nest
from harness.errors import UserError
from harness.files import ROOT, display_path
from harness.plan import Plan
from harness.result.forecasts import forecast_path, read_forecast_file, table_of
from harness.result.units import plural
from harness.suite.drive import describe, run_all
from harness.suite.plans import Wanted, estimate, make_plans, state_of
from harness.suite.pools import Job, Pool, local_pool
from harness.suite.ray_pool import RayPool


def main(argv: Sequence[str], description: str) -> int:
    """Does what the arguments ask for and returns the exit code.

    Raises:
        UserError: they ask for what cannot be done.
    """
    arguments = parse(argv, description)
    choice = Wanted(
        tuple(arguments.experiments), tuple(arguments.task), arguments.subset, tuple(arguments.method),
        tuple(arguments.model), tuple(arguments.seeds), grid_of(arguments.grid), arguments.profile, False,
        arguments.output.resolve(),
    )  # fmt: skip
    plans = make_plans(choice)
    if arguments.forecast:
        return forecast(plans, arguments)
    here = this_machine(arguments.device) if arguments.here else None
    states = [state_of(plan, here) for plan in plans]
    outdated = states.count("outdated") if not arguments.overwrite else 0
    wanted = ("missing", "outdated") if arguments.overwrite else ("missing",)
    todo = [plan for plan, state in zip(plans, states, strict=True) if state in wanted]
    runs = f"{len(plans)} {plural(len(plans), 'run')}"
    print(f"{runs} asked for, {states.count('done')} done, {len(todo)} to be made", file=sys.stderr)
    if outdated:
        print(f"{outdated} have results of another protocol or of an older folder; --overwrite makes them again",
              file=sys.stderr)  # fmt: skip
    flags = flags_of(arguments)
    jobs = [Job(plan, flags) for plan in todo]
    if arguments.print_commands:
        output = [] if choice.output == ROOT else ["--output", str(choice.output)]
        for job in jobs:
            print(shlex.join(["python", "run.py", *job.arguments, *output]))
        return 0
    seconds = estimate(todo, choice.output)
    if arguments.dry_run or not todo:
        print(describe(todo, seconds))
        return 0
    return run_all(jobs, pool_of(arguments, choice.output), seconds, choice.output)


def parse(argv: Sequence[str], description: str) -> argparse.Namespace:
    """The arguments of suite.py."""
    parser = argparse.ArgumentParser(
        prog="suite.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_argument_group("which runs (all that match; default: every experiment with its own seed)")
    which.add_argument("experiments", nargs="*", help="parts of the folders' paths, such as lora/llama-3.2-3B")
    which.add_argument("--task", action="append", default=[], help="repeatable, as the next two")
    which.add_argument("--method", action="append", default=[], help="folder of the method")
    which.add_argument("--model", action="append", default=[], help="part of the base model's name")
    which.add_argument("--subset", help="of the task (default: all)")
    which.add_argument("--seeds", nargs="+", type=natural, default=[], metavar="SEED")
    which.add_argument("--grid", action="append", default=[], metavar="KEY=V1,V2", help="runs with each of the "
                       "values, which stay in runs/; repeatable, for all combinations")  # fmt: skip
    which.add_argument("--profile", action="store_true", help="profiles instead: costs on random weights")
    forecast_group = parser.add_argument_group("forecasts instead")
    forecast_group.add_argument("--forecast", action="store_true", help="the memory that each would take, from shapes "
                                "alone, without GPU; writes results/forecasts/")  # fmt: skip
    forecast_group.add_argument("--no-advice", action="store_true", help="no largest batch; three times as fast")
    add_gpu(forecast_group)
    which.add_argument("--missing", action="store_true", help="those without a current result on any hardware; the "
                       "default, and there to be said")  # fmt: skip
    which.add_argument("--here", action="store_true", help="those without one on this machine's hardware")
    which.add_argument("--overwrite", action="store_true", help="also those whose result is of another protocol or of "
                       "a folder that was changed since, and replace it")  # fmt: skip
    instead = parser.add_argument_group("instead of running them")
    instead.add_argument("--dry-run", action="store_true", help="show them, with hours by the results at hand")
    instead.add_argument("--print-commands", action="store_true", help="a line for each, to be run elsewhere")
    add_place(parser)
    return parser.parse_args(argv)


def add_place(parser: argparse.ArgumentParser) -> None:
    """Where and how runs are made; `tune` has the same."""
    where = parser.add_argument_group("where they are made")
    where.add_argument("--jobs", type=natural, metavar="N", help="runs at a time (default: one a GPU; on the CPU one)")
    where.add_argument("--threads", type=natural, metavar="N", help="of each run (default: OMP_NUM_THREADS, else its "
                       "share of the cores)")  # fmt: skip
    where.add_argument("--device", help="as in run.py, for every run (default: the GPUs, if there are some)")
    where.add_argument(
        "--address", metavar="auto|HOST:PORT", help="of a Ray cluster; local starts one on this machine"
    )
    where.add_argument("--checkpoint-minutes", type=float, default=10.0, metavar="M", help="see run.py (default: 10)")
    where.add_argument("--output", type=Path, default=ROOT, metavar="DIR", help="where results/ and runs/ are")


def forecast(plans: Sequence[Plan], arguments: argparse.Namespace) -> int:
    """A file of forecasts for each base model among the plans, and their tables; returns the exit code."""
    models = dict.fromkeys(plan.experiment.params.model_id for plan in plans)
    for model in models:
        own = [plan for plan in plans if plan.experiment.params.model_id == model]
        folders = dict.fromkeys(f"{display_path(plan.experiment.folder)}:{plan.subset or ''}" for plan in own)
        path = forecast_path(arguments.output.resolve(), model, arguments.gpu_memory)
        given = ["--gpu-memory", f"{arguments.gpu_memory / 10**9}GB"] if arguments.gpu_memory else []
        given += ["--gpu", arguments.gpu] if arguments.gpu else []
        given += ["--no-advice"] if arguments.no_advice else []
        command = [sys.executable, "-m", "harness.forecast.many", str(path), *folders, *given]
        done = subprocess.run(command, cwd=ROOT, check=False)  # torch is loaded there, and not here
        if done.returncode:
            return done.returncode
        print(f"{display_path(path)}:\n\n{table_of(read_forecast_file(path))}\n")
    return 0


def flags_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Arguments of run.py that say how a run is made."""
    device = ["--device", arguments.device] if arguments.device else []
    overwrite = ["--overwrite"] if getattr(arguments, "overwrite", False) else []
    return ("--resume", "--checkpoint-minutes", f"{arguments.checkpoint_minutes:g}", *device, *overwrite)


def pool_of(arguments: argparse.Namespace, output: Path) -> Pool:
    """This machine, or the Ray cluster that --address names.

    Raises:
        UserError: there is no such cluster.
    """
    if arguments.address is None:
        return local_pool(arguments.device, arguments.jobs, arguments.threads)
    if arguments.jobs:
        raise UserError("--jobs: is for this machine; a Ray cluster runs as many at a time as it has GPUs or cores")
    return RayPool(arguments.address, output, arguments.device, arguments.threads)


def grid_of(texts: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """All combinations of the values, as nested overrides; one without any where no grid is asked for.

    Raises:
        UserError: not KEY=V1,V2.
    """
    axes = []
    for text in texts:
        key, equals, values = text.partition("=")
        if not (key and equals and values):
            raise UserError(f"--grid: expected KEY=V1,V2, got {text!r}")
        once = {json.dumps(value): value for value in values_of(values)}.values()  # 1 and True are two
        axes.append([(key.split("."), value) for value in once])
    return tuple(nest(point) for point in itertools.product(*axes))


def values_of(text: str) -> list[Any]:
    """'1e-3,cosine' as JSON values; what is no JSON is a text."""
    try:
        return json.loads(f"[{text}]")
    except json.JSONDecodeError:
        return [_value(part) for part in text.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def this_machine(device: str | None) -> str:
    """The slug of the hardware that runs here would have; asked in another process, since this one loads no torch."""
    code = f"from harness.devices import choose_device, hardware; print(hardware(choose_device({device!r}))['slug'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"--here: this machine's device cannot be used: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.split()[-1]
