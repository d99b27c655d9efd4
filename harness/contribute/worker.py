"""Looks at folders in a process of its own, whose memory is bounded and whose time is by whoever started it.

A folder of strangers may ask for tensors of a terabyte, or make a library run for hours or crash; what is left then is
one error about that folder. `python -m harness.contribute.worker` reads a line of JSON for each folder and answers it
with one, in a process that neither reaches the hub nor shows what libraries print.
"""

import json
import os
import sys
import warnings
from pathlib import Path

from harness.contribute.concerns import Review, error
from harness.contribute.contract import review_task
from harness.contribute.experiments import review_experiment
from harness.contribute.forecasting import review_forecast
from harness.files import display_path
from harness.parent import end_with_parent

LOOKS = {"task": review_task, "experiment": review_experiment, "forecast": review_forecast}
MOST_MEMORY = 8 * 2**30  # bytes of addresses beside those that the libraries take


def look_at(kind: str, folder: Path) -> Review:
    """The review of an experiment or a task, or the forecast of an experiment."""
    try:
        return LOOKS[kind](folder)
    except MemoryError:
        place = display_path(folder)
        return Review(place, concerns=[error(f"{place}: needs more than {MOST_MEMORY // 2**30} GiB to be looked at")])


def _bound_memory() -> None:
    """Where the system has such a bound and tells what is in use; elsewhere there is none."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY,) * 2)
    except (ImportError, OSError, ValueError):
        return


def main() -> None:
    """Answers until standard input ends."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    _bound_memory()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(look_at(asked["kind"], Path(asked["folder"])).to_json()), file=answers, flush=True)


if __name__ == "__main__":
    main()
