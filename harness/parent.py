"""A run that a suite started ends with it: no orphan goes on beside the second try of the same run."""

import ctypes
import os
import signal
import sys

VARIABLE = "RUN_PARENT"  # the process that started this one, by its number


def end_with_parent() -> None:
    """Where the environment names a parent, this process gets SIGTERM when the thread that started it ends.

    Asked for by the child itself: between fork and exec of a process with threads no Python code may run. Linux only;
    elsewhere a run outlives a suite that is killed, and only the lock of its checkpoint keeps a second one away.
    """
    parent = os.environ.pop(VARIABLE, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent):  # it ended before it was asked
        sys.exit(130)
