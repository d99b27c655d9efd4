"""What is said to the person at the terminal: the one exception whose message is for them, and its remedies."""

import difflib
import sys
from collections.abc import Callable, Sequence
from typing import Any


class UserError(Exception):
    """Something the user can put right: a single line that names file, key, what was expected and the remedy.

    `run.py` prints the message without a traceback and exits with code 2.
    """


def did_you_mean(name: str, valid: Any) -> str:
    """The remedy for an unknown name: the nearest valid one, or the whole list."""
    nearest = difflib.get_close_matches(name, list(valid), n=1)
    return f'did you mean "{nearest[0]}"?' if nearest else f"expected one of: {', '.join(sorted(valid))}"


def run_command(start: Callable[[Sequence[str] | None], object], argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code: 0, or 2 after one line about what the user can put right.

    Args:
        start: parses the arguments and does what they ask for.
        argv: the arguments; None for those of this process.
    """
    try:
        start(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
