"""Finds result files and reads them, whoever wrote them: what cannot be read has a reason in one line."""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.experiment import display_path

FORECASTS = "forecasts"  # a folder of what was never measured (harness/result/forecasts.py)
LARGEST_FILE = 32 * 2**20  # bytes; our own have some 25 KiB


class UnreadableError(Exception):
    """Not a result, or one that cannot be believed; the message is one line without the file's name."""


@dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why, in one line."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} left out: {self.reason}"


def find_files(paths: Sequence[Path], skipped: list[Skipped]) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with the names of its *.json, recursively; a file that two of the paths hold comes once.

    Hidden folders and files are passed over, and forecasts. What is missing or cannot be listed is added to `skipped`.
    """
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
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != FORECASTS)
        yield where, sorted(name for name in files if name.endswith(".json") and not name.startswith("."))


def read_bytes(path: Path | str) -> bytes:
    """The content of a plain file.

    Raises:
        UnreadableError: it cannot be read, is not a plain file, or too large.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("no plain file, and links are not followed")
        if status.st_size > LARGEST_FILE:
            raise UnreadableError(f"{status.st_size:,} bytes are more than a result has ({LARGEST_FILE:,})")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None


def decode(content: bytes, decoder: msgspec.json.Decoder) -> Any:
    """What JSON holds, in the decoder's type; Python's NaN and Infinity, which are not JSON, are read as missing.

    Raises:
        UnreadableError: it is not JSON, or not of that type.
    """
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise UnreadableError(explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = _strict(content)
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise UnreadableError(explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {' '.join(str(error).split())[:120]}") from None


def _strict(content: bytes) -> bytes:
    """Strict JSON of what only Python's reader takes."""
    try:
        return msgspec.json.encode(json.loads(content, parse_constant=lambda name: None))
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError, OverflowError) as error:  # half characters, depth, numbers without end
        raise UnreadableError(f"not JSON: {' '.join(str(error).split())[:120]}") from None


def explain(error: msgspec.ValidationError, prefix: str = "") -> str:
    """'train_info.file_size: Expected `int` >= 0'."""
    message, _, where = str(error).partition(" - at `")
    place = where.removesuffix("`").removeprefix("$").removeprefix(".")
    path = ".".join(filter(None, (prefix, place)))
    return f"{path}: {message}" if path else message


_OBJECT = msgspec.json.Decoder(dict[str, Any])


def read_object(path: Path | str) -> dict[str, Any]:
    """One file's whole JSON.

    Raises:
        UnreadableError: as `read_bytes` and `decode`, or it is not one JSON object.
    """
    return decode(read_bytes(path), _OBJECT)
