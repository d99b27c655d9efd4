"""A pool of Ray's: it schedules, places and notices what is gone; what runs and what is brought back is ours."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import ROOT
from harness.result.provenance import fingerprint
from harness.suite import worker
from harness.suite.plans import state_of
from harness.suite.pools import Job, Outcome

LOST = 70  # the code of a run whose worker or node is gone; run.py never exits with it


class RayPool:
    """Tasks of a Ray cluster: Ray places them, one GPU each; what is lost with its worker or node is tried again.

    Never twice at once: Ray's own retries are off, a run ends with its worker, and another try waits for that.
    """

    PAUSE = 15  # seconds after a loss; a run needs less to notice that its worker is gone
    TRIES = 3  # of one run; what loses its worker every time is to blame itself

    def __init__(self, address: str, output: Path, device: str | None, threads: int | None) -> None:
        try:
            import ray
        except ImportError:
            raise UserError("--address: Ray is not installed; pip install -r requirements-suite.txt") from None
        self._ray = ray
        _check(address)
        local = {"object_store_memory": 10**8, "include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            token = (
                "" if "RAY_AUTH_MODE" in os.environ else "; if it wants a token, this shell has none: RAY_AUTH_MODE"
            )
            reason = str(error).splitlines()[0]
            raise UserError(f"--address {address}: no Ray cluster there: {reason}{token}") from None
        ray.cloudpickle.register_pickle_by_value(worker)
        total = ray.cluster_resources()
        gpus = 0 if device else min(total.get("GPU", 0), 1)
        self.slots = int(total["GPU"] if gpus else total.get("CPU", 1) // (threads or 1)) or 1
        given = threads or os.environ.get("OMP_NUM_THREADS")
        self._env = {} if given is None else {"OMP_NUM_THREADS": str(given)}
        self._task = ray.remote(num_gpus=gpus, num_cpus=threads or 1, max_retries=0, max_calls=1)(worker.run_on_node)
        self._running: dict[Any, tuple[Job, int]] = {}
        self._output = output
        self._place, self._archive = self._describe(output)

    def _describe(self, output: Path) -> tuple[dict[str, str], Any]:
        code = worker.code_of(str(ROOT))
        if code is None:
            raise UserError("--address: needs a git checkout, whose commit the nodes must have")
        marker = f"runs/suite/.{os.uname().nodename}-{os.getpid()}"
        (output / marker).parent.mkdir(parents=True, exist_ok=True)
        (output / marker).write_text("tells a node that it sees this folder")
        place = {"root": str(ROOT), "code": code, "output": str(output), "marker": marker}
        place["name"] = fingerprint([os.uname().nodename, str(output)])[:12]
        archive = None if "-" in code else self._ray.put(_bundle())
        return place, archive

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """As Pool says."""
        for job in jobs:
            self._submit(job, 1)
        while self._running:
            ready, _ = self._ray.wait(list(self._running), num_returns=1)
            job, tries = self._running.pop(ready[0])
            outcome = self._outcome(ready[0], job)
            if outcome.code == LOST and tries < self.TRIES:
                time.sleep(self.PAUSE)
                if state_of(job.plan) != "done":
                    self._submit(job, tries + 1)
                    continue
                outcome = replace(outcome, code=0)  # it ended just before its worker did
            yield outcome

    def _submit(self, job: Job, tries: int) -> None:
        place = self._place | {"run": job.name}
        reference = self._task.remote(job.arguments, self._env, place, job.leaves, self._archive)
        self._running[reference] = (job, tries)

    def _outcome(self, reference: Any, job: Job) -> Outcome:
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return Outcome(job, LOST, 0.0, "", f"{type(error).__name__}: {lines[0]}")
        return Outcome(job, found["code"], found["seconds"], found["host"], found["log"], found["files"])

    def stop(self) -> None:
        """As Pool says."""
        for reference in self._running:
            self._ray.cancel(reference)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=worker.PATIENCE)
        with contextlib.suppress(FileNotFoundError):
            (self._output / self._place["marker"]).unlink()
        self._ray.shutdown()


def _check(address: str) -> None:
    """Whether anybody answers at HOST:PORT; Ray itself would try for many minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise UserError(f"--address {address}: no Ray cluster there: {error.strerror or error}") from None


def _bundle() -> bytes:
    """The commit as one file; what was changed since is in no commit, so that only a clean checkout can be sent."""
    command = ["git", "-C", str(ROOT), "bundle", "create", "--quiet", "-", "HEAD"]
    return subprocess.run(command, capture_output=True, check=True).stdout
