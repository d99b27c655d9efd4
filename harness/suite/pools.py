"""Where runs are made: a pool turns jobs into outcomes, in any order, one for each job, always."""

import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.files import ROOT
from harness.plan import Plan
from harness.suite import worker


@dataclass(frozen=True)
class Job:
    """A plan and how it is run: `flags` are arguments of run.py that do not say what is run."""

    plan: Plan
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its log, and for people: <Task>--<method>--<name>--…"""
        return "--".join([self.plan.experiment.task, self.plan.checkpoint_path.stem])

    @property
    def arguments(self) -> list[str]:
        """Of run.py, without --output."""
        return [*self.plan.arguments, *self.flags]

    @property
    def leaves(self) -> list[str]:
        """Patterns of the files that it leaves below the output folder, and that others need."""
        folder = self.plan.runs_folder.relative_to(self.plan.output)
        result = self.plan.result_path("*").relative_to(self.plan.output)
        log = self.log.relative_to(self.plan.output)
        return [f"{folder}/**/*", str(result), str(log), "runs/base_scores/*.json"]

    @property
    def log(self) -> Path:
        """What run.py printed."""
        return self.plan.output / "runs" / "suite" / f"{self.name}.log"


@dataclass(frozen=True)
class Outcome:
    """Of one job: run.py's exit code (negative: killed by that signal; LOST), where it was, the end of its log."""

    job: Job
    code: int
    seconds: float
    where: str
    log: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


class Pool(Protocol):
    """Runs jobs. `stop` ends what runs, with its JSON, and starts nothing more."""

    slots: int

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """The outcome of each job as it ends."""

    def stop(self) -> None:
        """To be called when `run` is not gone through to its end."""


class LocalPool:
    """Processes on this machine: one at a time in each place, which is a GPU or a share of the cores."""

    def __init__(self, environments: Sequence[dict[str, str]]) -> None:
        self.slots = len(environments)
        self._free: queue.Queue[dict[str, str]] = queue.Queue()
        self._done: queue.Queue[Outcome] = queue.Queue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        for environment in environments:
            self._free.put(environment)

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """As Pool says."""
        waiting = iter(jobs)
        lock = threading.Lock()

        def work(environment: dict[str, str]) -> None:
            while not self._stopping.is_set():
                with lock:
                    job = next(waiting, None)
                if job is None:
                    return
                self._done.put(self._one(job, environment))

        while not self._free.empty():  # the thread that starts a run has to live as long as the run does
            self._threads.append(threading.Thread(target=work, args=(self._free.get(),)))
            self._threads[-1].start()
        for _ in jobs:
            yield self._done.get()

    def _one(self, job: Job, environment: dict[str, str]) -> Outcome:
        started = time.perf_counter()
        arguments = [*job.arguments, "--output", str(job.plan.output)]
        code = worker.run_process(str(ROOT), arguments, str(job.log), environment, self._stopping.is_set)
        where = environment.get("CUDA_VISIBLE_DEVICES", "")
        return Outcome(
            job, code, time.perf_counter() - started, f"GPU {where}" if where else "", worker.tail(str(job.log))
        )

    def stop(self) -> None:
        """As Pool says."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def local_pool(device: str | None, jobs: int | None, threads: int | None) -> LocalPool:
    """One run a GPU, or as many as asked for on the CPU, whose cores they then share.

    Args:
        device: as run.py's --device; None for the GPUs, if there are some.
        jobs: runs at a time; None for as many as there are GPUs, on the CPU one.
        threads: of each run; None for OMP_NUM_THREADS where it is set, else its share of the cores.
    """
    gpus = [] if device else visible_gpus()
    places = gpus[:jobs] or [""] * (jobs or 1)
    given = threads or os.environ.get("OMP_NUM_THREADS")
    share = given or (max(cores() // len(places), 1) if len(places) > 1 else None)
    own = {} if share is None else {"OMP_NUM_THREADS": str(share)}
    return LocalPool([own | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}) for gpu in places])


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may hold, asked of NVIDIA's library since torch would take memory on each of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one for one in visible.split(",") if one and one != "-1"]
    import pynvml

    try:
        pynvml.nvmlInit()
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
