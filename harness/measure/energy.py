"""What NVIDIA's management library says of the GPU as a whole: energy drawn, and who else computes on it.

torch's allocator knows its own process only. Everything here is None where the library or the figure is missing.
"""

import logging
import os

import pynvml
import torch

log = logging.getLogger("run")


def joules(device: torch.device) -> float | None:
    """Joules that the GPU has drawn since its driver was loaded; differences of it are what a run drew."""
    handle = _handle(device)
    try:
        return None if handle is None else pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    except pynvml.NVMLError:  # GPUs before Volta do not count
        return None


def other_processes(device: torch.device) -> int | None:
    """How many other processes compute on the GPU now.

    In a container the library may name this process by a number that it does not know itself by. So one process is
    always taken for this one: to be asked only when this process has already allocated there.
    """
    handle = _handle(device)
    try:
        if handle is None:
            return None
        found = {process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    except pynvml.NVMLError:
        return None
    if not found:  # this process at least is there, so the library does not tell
        return None
    others = found - {os.getpid(), os.getppid()}  # a run of several subsets has a parent, which may hold a context
    return len(others) if os.getpid() in found else max(len(others) - 1, 0)


def watch(device: torch.device, seen: bool | None = None) -> bool | None:
    """Whether another process computes on the same GPU, or was `seen` to before; warns the first time."""
    others = other_processes(device)
    if others and not seen:
        log.warning("%d other process(es) compute on this GPU: memory and speed are not this run's alone", others)
    return seen if others is None else bool(others or seen)


def _handle(device: torch.device) -> object | None:
    """The library's own handle, by the device's UUID: CUDA_VISIBLE_DEVICES renumbers what torch sees."""
    if device.type != "cuda":
        return None
    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except (pynvml.NVMLError, AttributeError):  # no such library, or another maker's card under torch.cuda
        return None
