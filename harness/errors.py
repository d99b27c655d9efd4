"""What is said to the person at the terminal: the one exception whose message is for them, and its remedies."""

import difflib
from typing import Any


class UserError(Exception):
    """Something the user can put right: a single line that names file, key, what was expected and the remedy.

    `run.py` prints the message without a traceback and exits with code 2.
    """


def did_you_mean(name: str, valid: Any) -> str:
    """The remedy for an unknown name: the nearest valid one, or the whole list."""
    nearest = difflib.get_close_matches(name, list(valid), n=1)
    return f'did you mean "{nearest[0]}"?' if nearest else f"expected one of: {', '.join(sorted(valid))}"
