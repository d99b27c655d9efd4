"""Peak memory of a run's phases, measured without making the device wait."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from harness.devices import accelerator_module

_CLEAR_REFS = Path("/proc/self/clear_refs")
_SAMPLING_SECONDS = 0.02


@dataclass
class Peak:
    """The most memory a phase used, in bytes; None where the device cannot tell."""

    allocated: int | None = None
    reserved: int | None = None

    def raise_to(self, allocated: int | None, reserved: int | None) -> None:
        """Keeps the larger of what is known and what is given."""
        self.allocated = max(filter(None, (self.allocated, allocated)), default=allocated)
        self.reserved = max(filter(None, (self.reserved, reserved)), default=reserved)


class MemoryMeter:
    """Peak memory per phase: from the allocator of an accelerator, from the resident set on the CPU.

    The CPU has one figure for allocated and reserved: the resident set above its level when the meter was made.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.peaks: dict[str, Peak] = {}
        self._phases: list[str] = []
        self._module = accelerator_module(device)
        self._resident = ResidentPeak() if self._module is None else None
        self.baseline = psutil.Process().memory_info().rss if self._module is None else 0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Peaks inside the block belong to `name`; an inner phase interrupts the outer one."""
        if self._phases:
            self._close(self._phases[-1])
        self._phases.append(name)
        self._reset()
        try:
            yield
        finally:
            self._close(self._phases.pop())
            self._reset()

    def now(self) -> tuple[int, int]:
        """Allocated and reserved bytes at this moment, without waiting for the device."""
        if self._module is None:
            resident = max(psutil.Process().memory_info().rss - self.baseline, 0)
            return resident, resident
        if self.device.type == "mps":
            return self._module.current_allocated_memory(), self._module.driver_allocated_memory()
        return self._module.memory_allocated(self.device), self._module.memory_reserved(self.device)

    def _reset(self) -> None:
        if self._resident is not None:
            self._resident.reset()
        elif self.device.type != "mps":
            # Blocks cached by an earlier phase would otherwise count as reserved in this one.
            self._module.empty_cache()
            self._module.reset_peak_memory_stats(self.device)

    def _close(self, name: str) -> None:
        peak = self.peaks.setdefault(name, Peak())
        if self._resident is not None:
            resident = max(self._resident.read() - self.baseline, 0)
            peak.raise_to(resident, resident)
        elif self.device.type == "mps":  # keeps no peak: what is left is the level at the phase's end
            peak.raise_to(*self.now())
        else:
            peak.raise_to(
                self._module.max_memory_allocated(self.device), self._module.max_memory_reserved(self.device)
            )


class ResidentPeak:
    """High-water mark of this process's resident set, in bytes, since the last reset.

    Linux keeps the mark itself and resets it through clear_refs; elsewhere a thread samples.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._sampled = 0
        self._kernel = self._try_kernel_reset()
        self._sampler: threading.Thread | None = None

    def reset(self) -> None:
        """Starts a new measurement."""
        if self._kernel:
            self._try_kernel_reset()
        elif self._sampler is None:
            self._sampler = threading.Thread(target=self._sample, daemon=True)
            self._sampler.start()
        self._sampled = 0

    def read(self) -> int:
        """The highest resident set since the last reset."""
        if self._kernel:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return max(self._sampled, self._process.memory_info().rss)

    @staticmethod
    def _try_kernel_reset() -> bool:
        try:
            _CLEAR_REFS.write_text("5")
        except OSError:
            return False
        return True

    def _sample(self) -> None:
        while True:
            self._sampled = max(self._sampled, self._process.memory_info().rss)
            time.sleep(_SAMPLING_SECONDS)
