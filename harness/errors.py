"""What is said to the person at the terminal: the one exception whose message is for them, and its remedies."""

import difflib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST = 2000  # characters of a message


class UserError(Exception):
    """Something the user can put right: a single line that names file, key, what was expected and the remedy.

    `run.py` prints the message without a traceback and exits with code 2. Parts of it come from files of strangers, so
    that what could break the line or steer a terminal is spelled out, and what is endless is cut in the middle.
    """

    def __init__(self, message: str) -> None:
        line = re.sub(r"\s*\n\s*", " ", message)
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
        half = LONGEST // 2
        super().__init__(line if len(line) <= LONGEST else f"{line[:half]} […] {line[-half:]}")


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest valid one, upper or lower case aside, or the whole list."""
    known = {other.casefold(): other for other in valid}
    if not known:
        return "there is none"
    nearest = difflib.get_close_matches(name.casefold(), known, n=1)
    if nearest:
        return f'did you mean "{known[nearest[0]]}"?'
    return f"expected one of: {', '.join(sorted(known.values()))}"


def brief(value: Any) -> str:
    """A value as messages show it: its repr, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def one_line(error: BaseException) -> str:
    """The message of an exception without line breaks, or its type where it has none."""
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__


@contextmanager
def blame(where: str, file: Path) -> Iterator[None]:
    """Inside the block, what the code in `file` raises becomes a UserError that begins with `where`.

    It names the line of the file, and the exception itself, with its traceback, is its cause. Two kinds pass as they
    are: what is a UserError already, and a MemoryError, which is no mistake of the code.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        at = f"line {lines[-1]}: " if lines else ""
        raise UserError(f"{where}: {at}{type(error).__name__}: {one_line(error)}") from error


def run_command(start: Callable[[Any], int | None], arguments: Any = None) -> int:
    """Runs a command line and returns its exit code: 2 after one line about what the user can put right, 141 where
    nobody reads its output any more.

    Args:
        start: does what the arguments ask for; returns the exit code, or nothing where that is 0.
        arguments: what `start` is given.
    """
    try:
        return start(arguments) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
