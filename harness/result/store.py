"""Where results lie, and how they are written and read."""

import hashlib
import json
import math
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from harness.result.schema import Result


def file_name(method: str, name: str, subset: str | None, seed: int) -> str:
    """<method>--<name>[--<subset>]--seed<k>, which tells a run from others of its task."""
    return "--".join(filter(None, (method, name, subset, f"seed{seed}")))


def result_path(output: Path, task: str, hardware: str, stem: str, profile: bool = False) -> Path:
    """Where a result belongs below an output folder; profiles lie apart."""
    if profile:
        return output / "results" / "profiles" / hardware / f"{task}--{stem}.json"
    return output / "results" / task / hardware / f"{stem}.json"


def is_kept(result: Result) -> bool:
    """Whether an unmodified run's outcome belongs in results/: a success, and a profile that ran out of memory."""
    return result.train_info.status in (("success", "out_of_memory") if result.profile else ("success",))


def write_result(path: Path, result: Result, overwrite: bool = True) -> None:
    """Writes atomically: a reader sees the old file or the whole new one, whenever the run dies.

    Raises:
        FileExistsError: without `overwrite`, another run has written the same result meanwhile.
    """
    values = _without_nan(result.model_dump(by_alias=True))
    write_atomically(path, json.dumps(values, indent=1, allow_nan=False) + "\n", overwrite)


def _without_nan(value: Any) -> Any:
    """A figure that is no finite number is missing; JSON has none, and no single one may cost the file."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_atomically(path: Path, text: str, overwrite: bool = True) -> None:
    """Writes a whole file or nothing; without `overwrite` an existing one is a FileExistsError.

    What a killed process of this host has left unfinished in the same folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path.parent)
    temporary = path.with_name(f".{path.name}.{_host()}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _host() -> str:
    """Short, and without dots; folders may be shared between hosts, whose processes have numbers of their own."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _remove_stale(folder: Path) -> None:
    for temporary in folder.glob(f".*.{_host()}.*"):
        process = temporary.name.rpartition(".")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            temporary.unlink(missing_ok=True)


def read_result(path: Path) -> Result:
    """Reads one of our own results.

    Raises:
        pydantic.ValidationError: the file does not have the schema.
    """
    return Result.model_validate_json(path.read_text(encoding="utf-8"))
