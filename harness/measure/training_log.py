"""What a training loop tells about itself: losses, tokens, times and memory, read where the device is waited for."""

import math
import statistics
from typing import Any

import torch

from harness.measure.memory import MemoryMeter
from harness.measure.timer import StepTimer
from harness.result.schema import Metrics


class Diverged(Exception):
    """The training loss is no longer a finite number."""


class TrainingLog:
    """Collects the figures of training steps; nothing here makes the device wait but `close_window`.

    Steps up to `warm_after` (compilation, first allocations) are timed apart: `train_time` and the throughput made
    of it begin after. A resumed run warms up again.
    """

    _KEPT = ("warmup_time", "warmup_steps", "train_time", "timed_work", "timed_rows", "total_work", "rows",
             "skipped_steps", "losses", "step_seconds", "allocated", "reserved", "_line_start")  # fmt: skip

    def __init__(self, device: torch.device, memory: MemoryMeter, warmup_steps: int) -> None:
        self.timer = StepTimer(device)
        self.memory = memory
        self.warm_after = warmup_steps
        self.warmup_steps = 0
        self.warmup_time = 0.0
        self.train_time = 0.0
        self.timed_work = 0
        self.timed_rows = 0
        self.total_work = 0
        self.rows = 0
        self.skipped_steps = 0
        self.losses: list[float] = []
        self.step_seconds: list[float] = []
        self.allocated: list[int] = []
        self.reserved: list[int] = []
        self._pending: list[torch.Tensor] = []
        self._pending_work = 0
        self._pending_rows = 0
        self._line_start = (0, 0.0, 0)

    def add(self, loss: torch.Tensor, work: int, rows: int) -> None:
        """Notes one optimizer step; `loss` stays on the device."""
        self._pending.append(loss)
        self._pending_work += work
        self._pending_rows += rows
        self.total_work += work
        self.rows += rows
        allocated, reserved = self.memory.now()
        self.allocated.append(allocated)
        self.reserved.append(reserved)

    def close_window(self, tolerate: bool = False) -> float:
        """Waits for the device and reads what was queued.

        Args:
            tolerate: non-finite losses are skipped steps of float16 training, as long as some step was finite.

        Returns:
            mean loss of the window.

        Raises:
            Diverged: a loss of the window is not finite.
        """
        window = self.timer.edge()
        losses = torch.stack(self._pending).float().tolist()
        self._pending = []
        warming_up = len(self.losses) < self.warm_after
        self.losses += losses
        if warming_up:
            self.warmup_time += window.seconds
            self.warmup_steps += len(losses)
        else:
            self.train_time += window.seconds
            self.timed_work += self._pending_work
            self.timed_rows += self._pending_rows
            self.step_seconds += window.step_seconds
        self._pending_work = self._pending_rows = 0
        finite = [loss for loss in losses if math.isfinite(loss)]
        if len(finite) < len(losses) and not (tolerate and finite):
            first = len(self.losses) - len(losses) + 1 + next(i for i, x in enumerate(losses) if not math.isfinite(x))
            raise Diverged(
                f"loss is {self.losses[first - 1]} at step {first}; lower optimizer_kwargs.lr, "
                "or clip gradients with grad_norm_clip"
            )
        return sum(finite) / len(finite)

    def state(self) -> dict[str, Any]:
        """All figures so far; to be asked for where a window has just been closed."""
        return {name: getattr(self, name) for name in self._KEPT}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on with the figures of a run that was killed; the first steps of this process are warm-up again."""
        vars(self).update(state)
        self.warm_after += len(self.losses)

    def line(self) -> Metrics:
        """The training half of a metrics line: figures since the line before; closes no window."""
        step, time_before, work_before = self._line_start
        seconds, work = self.train_time - time_before, self.timed_work - work_before
        self._line_start = (len(self.losses), self.train_time, self.timed_work)
        finite = [loss for loss in self.losses[step:] if math.isfinite(loss)]
        return Metrics(
            step=len(self.losses),
            train_loss=sum(finite) / len(finite) if finite else None,
            train_samples=self.rows,
            train_time=seconds,
            tokens_per_second=work / seconds if seconds else None,
            memory_allocated_avg=statistics.fmean(self.allocated[step:]) if self.allocated[step:] else None,
            memory_reserved_avg=statistics.fmean(self.reserved[step:]) if self.reserved[step:] else None,
        )

    @property
    def work_per_second(self) -> float | None:
        """Units of work per second of training time, warm-up left out."""
        return self.timed_work / self.train_time if self.train_time else None

    @property
    def rows_per_second(self) -> float | None:
        """Training rows per second of training time, warm-up left out."""
        return self.timed_rows / self.train_time if self.train_time else None
