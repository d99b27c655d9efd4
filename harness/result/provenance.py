"""Where a result comes from: package versions, hardware, git state, and fingerprints of data and settings."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("transformers", "datasets", "peft", "torch", "bitsandbytes", "accelerate", "evaluate",
            "rouge_score", "nltk")  # fmt: skip
# Written by runs themselves: their presence does not make the code that ran a different one.
OUTPUTS = (":(exclude)results", ":(exclude)runs")


def package_info() -> dict[str, str | None]:
    """Version and, for an installation from git, commit of each package; null where it is not installed."""
    info = {}
    for name in PACKAGES:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            info |= {f"{name}-version": None, f"{name}-commit-hash": None}
            continue
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        info[f"{name}-version"] = distribution.version
        info[f"{name}-commit-hash"] = origin.get("vcs_info", {}).get("commit_id")
    return info


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens: 'NVIDIA L40S' becomes 'nvidia-l40s'."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def accelerator_name(device: Any) -> str | None:
    """The accelerator's own name for a torch.device, None for the CPU."""
    import torch

    if device.type == "cpu":
        return None
    if device.type == "mps":
        return f"Apple {platform.machine()}"
    return getattr(torch, device.type).get_device_name(device)


def hardware(device: Any) -> dict[str, Any]:
    """What the run ran on; memory in bytes. `slug` names the results folder."""
    import torch

    name = accelerator_name(device)
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    return {
        "slug": slug(name) if name else f"cpu-{slug(platform.machine())}",
        "device": device.type,
        "accelerator": name,
        "accelerator_memory": total,
        "cpu": _cpu_name(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": psutil.virtual_memory().total,
    }


def _cpu_name() -> str:
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        match = None
    return match[1] if match else platform.processor()


def system_info(device: Any) -> dict[str, str]:
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
    import torch

    return torch.__config__.show()


def git_state(root: Path) -> dict[str, Any]:
    """Commit, whether the tree differs from it, and how many files git does not know; null outside a checkout."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "untracked_files": None}
    changes = (_git(root, "status", "--porcelain", "--", ".", *OUTPUTS) or "").splitlines()
    return {
        "commit": commit.strip(),
        "dirty": bool(changes),
        "untracked_files": sum(line.startswith("??") for line in changes),
    }


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def fingerprint(parts: Iterable[Any]) -> str:
    """SHA-256 over a sequence of JSON values, independent of the order of keys."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def code_fingerprint(root: Path, task_folder: Path) -> str:
    """Of all the code that makes a run: run.py, harness/ without its pages, and the task's data.py."""
    paths = [path for path in root.glob("harness/**/*.py") if "dashboard" not in path.parts]
    paths = sorted([root / "run.py", task_folder / "data.py", *paths])
    return fingerprint([path.name, path.read_text(encoding="utf-8")] for path in paths)


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
