"""Many experiments: makes the runs that are missing, each in a process of its own, and says what came of them.

    python suite.py --dry-run                                          # what is missing, and how many hours it takes
    python suite.py --task MetaMathQA --model Llama-3.2-3B --seeds 0 1 2
    python suite.py lora/embedded-llama-rank8 --grid optimizer_kwargs.lr=1e-3,3e-3 --jobs 2
    python suite.py --address auto                                     # on the Ray cluster of this machine
    python suite.py --print-commands > commands.txt                    # for an array job of SLURM
    python suite.py tune lora/embedded-llama-rank8 --key optimizer_kwargs.lr --values 1e-3,3e-3,1e-2

Results are what is done: a second call makes only what is left, and a run that was killed goes on from its checkpoint.
See docs/running-many.md.
"""

import sys

from harness.errors import run_command
from harness.suite import command, tune


def start(argv: list[str]) -> int:
    """Makes what is missing, or tunes where the first argument says so; returns the exit code."""
    return tune.main(argv[1:]) if argv[:1] == ["tune"] else command.main(argv, __doc__)


if __name__ == "__main__":
    try:
        sys.exit(run_command(start, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
