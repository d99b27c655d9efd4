"""Times of training steps, measured without making the device wait for each of them."""

import time
from dataclasses import dataclass, field

import torch

from harness.devices import accelerator_module, synchronize

WARMUP_STEPS = 5  # left out of train_time and throughput: compilation, first allocations


def warmup_steps(steps: int) -> int:
    """How many of a run's optimizer steps warm up; a tenth of a short run."""
    return min(WARMUP_STEPS, steps // 10)


@dataclass
class Window:
    """Training steps between two synchronizations: wall seconds, and each step's seconds."""

    seconds: float
    step_seconds: list[float] = field(default_factory=list)


class StepTimer:
    """Times training steps without a synchronization per step: device events, read at the edge of a window."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._module = accelerator_module(device)
        self._marks: list[tuple] = []
        self._begun: float | None = None

    def start(self) -> None:
        """A step begins; the first after an edge opens a window."""
        if self._begun is None:
            synchronize(self.device)
            self._begun = time.perf_counter()
        self._marks.append((self._mark(),))

    def stop(self) -> None:
        """The step's work has been queued."""
        self._marks[-1] = (*self._marks[-1], self._mark())

    def edge(self) -> Window:
        """Waits for the device, closes the window and returns its times."""
        synchronize(self.device)
        seconds = 0.0 if self._begun is None else time.perf_counter() - self._begun
        steps = [self._between(*mark) for mark in self._marks if len(mark) == 2]
        self._begun, self._marks = None, []
        return Window(seconds, steps)

    def _mark(self):
        if self._module is None or not hasattr(self._module, "Event"):
            return time.perf_counter()
        event = self._module.Event(enable_timing=True)
        event.record()
        return event

    @staticmethod
    def _between(start, stop) -> float:
        return stop - start if isinstance(start, float) else start.elapsed_time(stop) / 1000
