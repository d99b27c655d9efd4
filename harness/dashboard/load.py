"""Reads result files: thousands quickly, ours and foreign ones of the same layout, and no file can break the page."""

import contextlib
import gc
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas

from harness.dashboard.fields import flatten
from harness.dashboard.origin import task_of
from harness.dashboard.runs import IDENTITY, to_frame
from harness.dashboard.values import StrangeResult
from harness.experiment import display_path

LARGEST_FILE = 32 * 2**20  # bytes; our own have some 25 KiB


@dataclass(frozen=True)
class Skipped:
    """A file that is not shown, and why, in one line."""

    path: str
    reason: str


@dataclass(frozen=True)
class Loaded:
    """All runs, one row each (harness/dashboard/runs.py), what was skipped, and how long reading took in seconds."""

    runs: pandas.DataFrame
    skipped: list[Skipped]
    seconds: float


def load(paths: Sequence[Path], task: str | None = None) -> Loaded:
    """Reads every *.json below `paths`, which are folders or single files. Nothing in a file makes it raise.

    Hidden folders and files are passed over. Of several files of one run the successful one counts, then the newest.

    Args:
        paths: where to look, recursively.
        task: of the files that name none themselves; by default the folder's name tells (`task_of`).
    """
    started = time.perf_counter()
    skipped: list[Skipped] = []
    rows: dict[tuple, dict[str, Any]] = {}
    with _no_collection():
        for folder, names in _folders(paths, skipped):
            shown, of_folder = display_path(folder), task or task_of(folder)
            for name in names:
                source = os.path.join(shown, name)
                try:
                    if not _is_text(source):
                        raise StrangeResult("the name is no text in UTF-8")
                    row = flatten(read(os.path.join(folder, name)), of_folder)
                except StrangeResult as error:
                    skipped.append(Skipped(source.encode(errors="backslashreplace").decode(), str(error)))
                    continue
                row["source"] = source
                _keep_newest(rows, row, skipped)
    return Loaded(to_frame(list(rows.values())), skipped, time.perf_counter() - started)


def read(path: Path | str) -> dict[str, Any]:
    """One file's whole JSON; Python's NaN and Infinity, which are not JSON, are read as missing.

    Raises:
        StrangeResult: it cannot be read, is not a plain file, too large, or not one JSON object.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise StrangeResult("no plain file, and links are not followed")
        if status.st_size > LARGEST_FILE:
            raise StrangeResult(f"{status.st_size:,} bytes are more than a result has ({LARGEST_FILE:,})")
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise StrangeResult(f"cannot be read: {error.strerror}") from None
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError:
        data = _read_loosely(content)
    if type(data) is not dict:
        raise StrangeResult("expected one JSON object")
    return data


def _read_loosely(content: bytes) -> Any:
    try:
        loose = json.loads(content, parse_constant=lambda name: None)
        return orjson.loads(orjson.dumps(loose))  # what is no text for orjson, such as half a character, is none later
    except json.JSONDecodeError as error:
        raise StrangeResult(f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
        raise StrangeResult(f"not JSON: {' '.join(str(error).split())[:120]}") from None


def _folders(paths: Sequence[Path], skipped: list[Skipped]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with the names of its result files; a file that two of the paths hold comes once."""
    seen: set[str] = set()
    for path in map(Path, paths):
        if path.is_dir():
            found = _walk(path, skipped)
        elif os.path.lexists(path):
            found = [(str(path.parent), [path.name])]
        else:
            skipped.append(Skipped(str(path), "no such file or folder"))
            continue
        for folder, names in found:
            real = os.path.realpath(folder)
            new = [name for name in names if os.path.join(real, name) not in seen]
            seen.update(os.path.join(real, name) for name in new)
            if new:
                yield Path(folder), new


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[tuple[str, list[str]]]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(display_path(Path(error.filename)), f"cannot be read: {error.strerror}"))

    for where, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield where, sorted(name for name in files if name.endswith(".json") and not name.startswith("."))


def _is_text(name: str) -> bool:
    """A file's name is bytes; those that are not UTF-8 stand in it as half characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _keep_newest(rows: dict[tuple, dict[str, Any]], row: dict[str, Any], skipped: list[Skipped]) -> None:
    """Notes the run, or which of two files of one run is not shown."""
    key = tuple(None if row[name] != row[name] else row[name] for name in IDENTITY)  # NaN differs from itself
    other = rows.get(key)
    if other is None:
        rows[key] = row
        return
    order = [(one["status"] == "success", one["created_at"]) for one in (other, row)]
    kept, left = (row, other) if order[1] > order[0] else (other, row)
    rows[key] = kept
    why = "successful" if kept["status"] != left["status"] == "success" else "newer or the first read"
    skipped.append(Skipped(left["source"], f"the same run as {kept['source']}, which is {why}"))


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Parsed files hold no cycles, and looking for some takes as long as reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
