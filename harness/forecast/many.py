"""Forecasts of many experiments in one process; what `suite.py --forecast` starts.

    python -m harness.forecast.many OUTPUT.json FOLDER[:SUBSET] … --gpu-memory 24GB

Forecasts that the file holds of the same folders, unchanged, and the same GPU stay; it is written after every one.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from harness.arguments import add_gpu
from harness.errors import run_command
from harness.experiment import find_experiment, read_experiment
from harness.forecast.forecast import Asked, forecast, versions
from harness.models import quiet_libraries
from harness.plan import Plan
from harness.result.forecasts import Forecast, read_forecast_file, write_forecasts


def forecast_all(path: Path, wanted: Sequence[tuple[str, str | None]], asked: Asked) -> None:
    """Forecasts of experiment folders and subsets, written to a file as they are made, beside what it holds."""
    held = {
        (one.task, one.subset, one.experiment): one for one in (read_forecast_file(path) if path.is_file() else [])
    }
    bar = tqdm(wanted, desc=path.stem, unit="forecast", dynamic_ncols=True)
    for folder, subset in bar:
        experiment = read_experiment(find_experiment(folder))
        key = experiment.task, subset, f"{experiment.method}/{experiment.name}"
        if key not in held or not _is_current(held[key], Plan(experiment, subset), asked):
            held[key] = forecast(experiment, subset, asked)
            write_forecasts(path, [held[each] for each in sorted(held, key=str)])
        bar.write(f"{'/'.join(filter(None, key))}: {held[key].sentence}", file=sys.stderr)


def _is_current(one: Forecast, plan: Plan, asked: Asked) -> bool:
    """Whether a forecast on file is of what the folder says now, and has all that is asked."""
    said = one.config_fingerprint, one.gpu_memory, one.gpu, one.versions
    advised = one.largest_batch is not None or one.reason is not None or asked.memory is None
    return said == (plan.config_fingerprint, asked.memory, asked.gpu, versions()) and (advised or not asked.advise)


def start(argv: Sequence[str] | None) -> int:
    """Forecasts what the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.forecast.many", description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("experiments", nargs="+", metavar="FOLDER[:SUBSET]")
    parser.add_argument("--no-advice", action="store_true", help="no largest batch, and nothing that would help")
    add_gpu(parser)
    arguments = parser.parse_args(argv)
    quiet_libraries()
    warnings.simplefilter("ignore", UserWarning)  # what PEFT says of a config, a check and a run show
    wanted = [(folder, subset or None) for folder, _, subset in (one.partition(":") for one in arguments.experiments)]
    forecast_all(arguments.output, wanted, Asked(arguments.gpu_memory, arguments.gpu, not arguments.no_advice))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(start, sys.argv[1:]))
