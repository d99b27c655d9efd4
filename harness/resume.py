"""How a run that was killed goes on: its place, its lock, and what of its record belongs to both processes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from harness.checkpoint import Checkpoint
from harness.errors import UserError
from harness.files import ROOT, display_path
from harness.learner import Learner
from harness.measure.energy import joules
from harness.measure.memory import Peak
from harness.optimizers import TORCHAO
from harness.record import Record, log
from harness.result import provenance, schema

_SUMS = ("load_time", "tokenize_time", "base_eval_time")  # of speed
_MACHINE = ("slug", "accelerator", "cpu", "threads")


@contextmanager
def resumable(record: Record, resume: bool) -> Iterator[None]:
    """The run happens inside the block, once at a time where it keeps checkpoints; of a success none stays behind.

    Args:
        record: of the run; its `checkpoint` is set.
        resume: go on from the checkpoint that is there.

    Raises:
        UserError: another process makes the same run, or what is there is no checkpoint of it.
    """
    path, minutes = record.plan.checkpoint_path, record.params.checkpoint_minutes
    if minutes is not None and record.params.optimizer_type in TORCHAO:
        log.warning("%s keeps its state in a form that no checkpoint holds: none is written", *TORCHAO)
        minutes = None
    lock = nullcontext() if minutes is None and not resume else locked(path.with_suffix(".lock"))
    with lock:
        record.checkpoint = Checkpoint(path, identity_of(record), minutes)
        record.resumes = resume and record.checkpoint.exists()
        if resume and not record.resumes:
            log.info("no checkpoint of this run: it begins at its beginning")
        yield
        if record.result.train_info.status in ("success", "diverged"):  # it would diverge again
            path.unlink(missing_ok=True)


def identity_of(record: Record) -> dict[str, Any]:
    """What two processes must share to be one run, under the names that messages call it by."""
    experiment, result = record.plan.experiment, record.result
    return {
        "configuration": record.params.fingerprinted(),
        "adapter_config": experiment.adapter_config,
        "version": {name: version for name, version in result.meta_info.package_info.items() if version},
        "code": provenance.code_fingerprint(ROOT, experiment.task_folder)[:12],
        "hardware": {name: result.hardware[name] for name in _MACHINE},
    }


def go_on(record: Record, learner: Learner) -> int:
    """Puts back the state of the run that was killed; returns the steps that it had taken, 0 where there is none."""
    if not record.resumes:
        return 0
    state, result = record.checkpoint.read(), record.result
    learner.restore(state["learner"])
    record.training.restore(state["training"])
    record.started -= state["elapsed"]
    if state["energy"] is not None and record.drawn is not None:
        record.drawn -= state["energy"]
    for name in _SUMS:
        both = [value for value in (state["speed"][name], getattr(result.speed, name)) if value is not None]
        setattr(result.speed, name, sum(both) if both else None)
    for name, peak in state["memory"].items():
        record.memory.peaks.setdefault(name, Peak()).raise_to(*peak)
    result.train_info.metrics = [schema.Metrics(**line) for line in state["metrics"]]
    result.memory_parts = schema.MemoryParts(**state["memory_parts"])
    result.quality.valid_score = state["valid_score"]
    done = len(record.training.losses)
    result.resumed = schema.Resumed(at_steps=[*state["resumed"], done])
    log.info("resumed after step %d", done)
    return done


def keep(record: Record, learner: Learner, finished: bool) -> None:
    """Writes a checkpoint where it is time to; to be called where the training log's window has been closed.

    Args:
        record: of the run.
        learner: what training moves.
        finished: training has taken its last step, so that a killed evaluation need not train again.
    """
    if record.checkpoint is None or not record.checkpoint.due(finished):
        return
    result, now = record.result, joules(record.device)
    record.checkpoint.write(
        {
            "learner": learner.state(),
            "training": record.training.state(),
            "elapsed": record.elapsed,
            "energy": None if record.drawn is None else now - record.drawn,
            "speed": {name: getattr(result.speed, name) for name in _SUMS},
            "memory": {name: (peak.allocated, peak.reserved) for name, peak in record.memory.peaks.items()},
            "metrics": [line.model_dump() for line in result.train_info.metrics],
            "memory_parts": result.memory_parts.model_dump(),
            "valid_score": result.quality.valid_score,
            "resumed": result.resumed.at_steps if result.resumed else [],
        }
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Inside the block no other process has the lock at `path`; what a killed owner left beside it is removed.

    Raises:
        UserError: another process has it, or it cannot be made.
    """
    file = _take(path)
    try:
        for stale in path.parent.glob(f".{path.stem}.*"):
            stale.unlink(missing_ok=True)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _take(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file)):
                return file
            os.close(file)  # its owner has just left and removed it
    except BlockingIOError:
        os.close(file)
        raise UserError(f"{display_path(path)}: another process makes this run; wait for it or end it") from None
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be made: {error.strerror}; choose another --output") from None
