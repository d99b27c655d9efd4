"""Where results lie, and how they are written and read."""

import json
import math
import os
from pathlib import Path
from typing import Any

from harness.result.schema import Result


def file_name(result: Result) -> str:
    """`<method>--<name>[--<subset>]--seed<k>`, without an ending."""
    parts = [result.method, result.name, result.task.subset, f"seed{result.seed}"]
    return "--".join(part for part in parts if part)


def result_path(output: Path, result: Result) -> Path:
    """Where a successful, unmodified run belongs, or a profile."""
    folder = output / "results"
    if result.profile:
        return folder / "profiles" / result.hardware["slug"] / f"{result.task.name}--{file_name(result)}.json"
    return folder / result.task.name / result.hardware["slug"] / f"{file_name(result)}.json"


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
    """Writes a whole file or nothing; without `overwrite` an existing one is a FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
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


def read_result(path: Path) -> Result:
    """Reads one of our own results.

    Raises:
        pydantic.ValidationError: the file does not have the schema.
    """
    return Result.model_validate_json(path.read_text(encoding="utf-8"))
