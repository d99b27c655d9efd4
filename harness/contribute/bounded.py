"""Starts the worker that looks at folders, and bounds its time; torch-free."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

from harness.contribute.concerns import Review, error
from harness.errors import UserError
from harness.files import ROOT, display_path
from harness.parent import VARIABLE

SECONDS = 120  # for one folder; the first of a process also waits for the imports
STARTING = 300
# Nothing is asked of the hub, and one thread is enough for shapes and small models: more would wait for one another.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "OMP_NUM_THREADS": "1",
}


class Bounded:
    """One process after another, each until a folder stops it; close it by leaving the `with` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Bounded":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def look_at(self, kind: str, folder: Path) -> Review:
        """What worker.py says of a folder, or an error that says why there is nothing."""
        seconds = SECONDS if self._process else STARTING
        process = self._process = self._process or self._start()
        try:
            process.stdin.write(json.dumps({"kind": kind, "folder": str(folder)}).encode() + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], seconds)
            line = process.stdout.readline() if ready else b""
        except BrokenPipeError:
            ready, line = True, b""
        if line:
            return Review.from_json(json.loads(line))
        self._stop()
        place = str(UserError(display_path(folder)))
        why = "the process that looked at it died" if ready else f"looking at it takes more than {seconds} s"
        return Review(place, concerns=[error(f"{place}: {why}; make what it asks for smaller or simpler")])

    def _start(self) -> subprocess.Popen:
        # From the checkout's root, which is where `-m` looks first; without the user's own start-up file.
        command = [sys.executable, "-s", "-m", "harness.contribute.worker"]
        environment = os.environ | ENVIRONMENT | {VARIABLE: str(os.getpid())}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
