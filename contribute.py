"""The contributor's way: makes experiment folders and tasks, checks them, and takes over those of others.

    python contribute.py new lora/llama-3.2-3B-rank123 --task MetaMathQA --like lora/llama-3.2-3B-rank32 --set r=123
    python contribute.py check lora/llama-3.2-3B-rank123 --rehearse    # what is wrong, what is unusual, what it costs
    python contribute.py check --base origin/main                      # all that this branch changes
    python contribute.py check                                         # everything
    python contribute.py import elsewhere/MetaMathQA/experiments/lora/llama-3.2-3B-rank32
    python contribute.py new-task MyTask

Exit codes: 0 where a check is clean (warnings are for whoever reviews), 1 where something has to be put right, 2 for a
mistake in the arguments. A check runs nothing that an experiment's folder names. See CONTRIBUTING.md.
"""

import sys

from harness.contribute import command
from harness.errors import run_command


def start(argv: list[str]) -> int:
    """Does what the arguments ask for; returns the exit code."""
    return command.main(argv, __doc__)


if __name__ == "__main__":
    try:
        sys.exit(run_command(start, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
