"""Where a result comes from: package versions, hardware, git state, and fingerprints of data and settings."""

import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PACKAGES = ("transformers", "datasets", "peft", "torch", "diffusers", "bitsandbytes", "accelerate", "evaluate",
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


def processor() -> dict[str, Any]:
    """The CPU as far as the system tells: `name`, and where Linux knows them `family`, `model`, `stepping`, else None.

    A virtual machine may have no more of a name than "AMD EPYC"; the three numbers tell its generations apart.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in lines)
    info: dict[str, str] = {}
    for key, _, value in pairs:
        info.setdefault(key.strip(), value.strip())  # of the first core
    name = info.get("model name") or _arm_name(info) or _system_name() or platform.machine()
    return {"name": name, **{key: _whole(info.get(word)) for key, word in _CPU_NUMBERS.items()}}


_CPU_NUMBERS = {"family": "cpu family", "model": "model", "stepping": "stepping"}


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _arm_name(info: dict[str, str]) -> str:
    """Linux knows ARM's cores by numbers only: 'aarch64 implementer 0x41 part 0xd0c'."""
    words = [(word, info.get(f"CPU {word}")) for word in ("implementer", "part")]
    known = [f"{word} {value}" for word, value in words if value]
    return " ".join([platform.machine(), *known]) if known else ""


def _system_name() -> str:
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor()


def cpu_slug(name: str) -> str:
    """Of a processor's name, less the usual ornaments: 'AMD EPYC 9354 32-Core Processor' is 'cpu-amd-epyc-9354'."""
    name = re.sub(r"\((r|tm|c)\)|@.*|\b\d+-core processor\b|\bcpu\b", " ", name, flags=re.IGNORECASE)
    return f"cpu-{slug(name) or 'unknown'}"


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


def committed(root: Path, task: str | None = None) -> list[Path]:
    """The results that git tracks, of one task or of all: results/<Task>/<hardware>/*.json."""
    pattern = f":(glob)results/{task or '*'}/*/*.json"
    return [root / name for name in (_git(root, "ls-files", "-z", pattern) or "").split("\0") if name]


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
    harness = sorted(path for path in root.glob("harness/**/*.py") if "dashboard" not in path.parts)
    return fingerprint(
        path.read_text(encoding="utf-8") for path in (root / "run.py", task_folder / "data.py", *harness)
    )


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
