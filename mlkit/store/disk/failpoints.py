"""Failpoints: named moments at which a test can kill the process, to test crash safety."""

import os
import signal

VARIABLE = "MLKIT_FAILPOINT"


def reach(name: str) -> None:
    """Kill this process with SIGKILL if the environment names this failpoint."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
