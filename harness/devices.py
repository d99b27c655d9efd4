"""Which device a run uses, what it is, and how to tell that its memory is used up."""

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import psutil
import torch

from harness.errors import UserError, one_line
from harness.result.provenance import cpu_slug, processor, slug

log = logging.getLogger("run")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator gave up: an accelerator's, Python's or torch's on the CPU."""
    words = ("out of memory", "alloc_failed", "can't allocate memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error).lower() for word in words)


@contextmanager
def notice_out_of_memory(device: torch.device) -> Iterator[None]:
    """Inside the block, a RuntimeError that followed a failed allocation becomes an OutOfMemoryError.

    transformers tells in words of its own what fails while it quantizes; they do not say that memory was the cause.
    """
    failed = _failed_allocations(device)
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error) and _failed_allocations(device) > failed:
            raise torch.OutOfMemoryError(f"out of memory while loading: {error}") from error
        raise


def _failed_allocations(device: torch.device) -> int:
    return torch.cuda.memory_stats(device).get("num_ooms", 0) if device.type == "cuda" else 0


def choose_device(name: str | None, touch: bool = True) -> torch.device:
    """The device asked for, or the accelerator of this machine, or the CPU.

    Args:
        name: as torch spells it, None for the best there is.
        touch: allocate on it, to be sure that it works; leaves a context there for as long as the process lives.

    Raises:
        UserError: there is no such device, or it cannot be used.
    """
    try:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        device = torch.device(name) if name else accelerator or torch.device("cpu")
        if touch:
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = one_line(error).partition(". ")[0]
        raise UserError(f"--device: {name} cannot be used here: {reason}") from None
    kinds = ["cpu", *([accelerator.type] if accelerator else [])]
    if device.type not in kinds:  # meta can be allocated on, and holds nothing
        raise UserError(f"--device: {name} cannot be used here: expected {' or '.join(kinds)}")
    if device.index is not None and device.type != "cpu":
        torch.accelerator.set_device_index(device.index)  # synchronization and events act on the current device
    return device


def accelerator_module(device: torch.device) -> ModuleType | None:
    """torch.cuda, torch.xpu or torch.mps for a device, None for the CPU."""
    return None if device.type == "cpu" else getattr(torch, device.type)


def synchronize(device: torch.device) -> None:
    """Waits until the device has done everything asked of it."""
    module = accelerator_module(device)
    if module is not None:
        module.synchronize()


@contextmanager
def null_without_memory(figure: str) -> Iterator[None]:
    """Where the device's memory does not suffice for a figure beside the run's own, the figure stays null."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        log.warning("%s: not enough memory to measure it; it stays null", figure)


def accelerator_name(device: torch.device) -> str | None:
    """The accelerator's own name, None for the CPU."""
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return f"Apple {platform.machine()}"
    return getattr(torch, device.type).get_device_name(device)


def hardware(device: torch.device) -> dict[str, Any]:
    """What a run runs on; memory in bytes. `slug` names the results folder."""
    name, cpu = accelerator_name(device), processor()
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    return {
        "slug": slug(name) if name else cpu_slug(cpu["name"]),
        "device": device.type,
        "accelerator": name,
        "accelerator_memory": total,
        "cpu": cpu["name"],
        **{f"cpu_{key}": cpu[key] for key in ("family", "model", "stepping")},
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": psutil.virtual_memory().total,
    }


def system_info(device: torch.device) -> dict[str, str]:
    """The operating system and the accelerator, in the layout of the published results."""
    uname = platform.uname()
    return {
        "system": uname.system,
        "release": uname.release,
        "version": uname.version,
        "machine": uname.machine,
        "processor": uname.processor,
        "accelerator": accelerator_name(device) or "N/A",
    }


def pytorch_info() -> str:
    """How torch was built."""
    return torch.__config__.show()
