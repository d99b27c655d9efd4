"""Small files that strangers write: read only where they are plain files of a sane size, parsed strictly."""

import json
import math
import stat
from pathlib import Path
from typing import Any

from harness.errors import UserError, brief

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 1_000_000
DEEPEST = 20  # lists and objects within one another
_KINDS = {"d": "a folder", "p": "a named pipe", "s": "a socket", "c": "a device", "b": "a device"}


def display_path(path: Path) -> str:
    """The path from the checkout's root where it lies inside, else as it is."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def named(path: Path) -> str:
    """`display_path` of a file that may be a link: the link's own name, not where it leads."""
    return f"{display_path(path.parent)}/{path.name}"


def check_plain(path: Path) -> None:
    """Anything but a plain file is an error: opening a named pipe, for one, would wait for ever.

    Raises:
        UserError: there is something else at the path, or nothing, or it cannot be looked at.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        what = "is a link that leads nowhere; replace it by the file" if path.is_symlink() else "missing"
        raise UserError(f"{named(path)}: {what}") from None
    except OSError as error:
        raise UserError(f"{named(path)}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.filemode(found.st_mode)[0], "something else")
        raise UserError(f"{named(path)}: expected a plain file, found {kind}; remove it or put the file there")


def read_json(path: Path) -> dict[str, Any]:
    """Parses one small JSON file of the checkout; links that lead out of its folder are errors.

    Raises:
        UserError: no plain file, too large, unreadable, or not strictly one JSON object (see `parse_json`).
    """
    check_plain(path)
    where = named(path)
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise UserError(f"{where}: is a link that leads out of its folder; replace it by the file itself")
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise UserError(f"{where}: expected at most {MOST_BYTES:,} bytes; no such file needs more")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not JSON: {error}; save it as plain UTF-8 JSON") from None
    content = parse_json(text, where)
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected one JSON object {{…}}, got {type(content).__name__}")
    return content


def parse_json(text: str, where: str) -> Any:
    """Parses JSON more strictly than Python does, so that every value that passes can be computed with and written.

    Args:
        text: the JSON.
        where: what messages call its source.

    Raises:
        UserError: not JSON, a key given twice, a number that is none or needs more than 64 bits, nesting too deep, or
            half of a surrogate pair, which no text can be written with.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"{where}: {brief(key)[1:-1]}: given twice; keep one")
            found[key] = value
        return found

    try:
        content = json.loads(
            text, object_pairs_hook=unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_of_64_bits
        )
        _check_depth(content)
        json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise UserError(f"{where}: not JSON of parameters: nested more than {DEEPEST} deep") from None
    except UnicodeEncodeError:
        raise UserError(f"{where}: not JSON: half of a surrogate pair (\\ud800 to \\udfff) in a text") from None
    except ValueError as error:
        raise UserError(f"{where}: not JSON: {error}; save it as plain UTF-8 JSON") from None
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{brief(text)[1:-1]} is too large for a number")
    return value


def _of_64_bits(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"{brief(text)[1:-1]} is too large for a number")
    return int(text)


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(DEEPEST + 1):
        level = [value for inner in level if isinstance(inner, dict | list)
                 for value in (inner.values() if isinstance(inner, dict) else inner)]  # fmt: skip
        if not level:
            return
    raise RecursionError
