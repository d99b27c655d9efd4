"""The one exception whose message is written for the person at the terminal."""


class UserError(Exception):
    """Something the user can put right: a single line that names file, key, what was expected and the remedy.

    `run.py` prints the message without a traceback and exits with code 2.
    """
