"""Named moments at which a test can kill the process, to prove that nothing half-done remains."""

import os
import signal

VARIABLE = "MLKIT_FAILPOINT"


def reach(name: str) -> None:
    """Kill this process with SIGKILL if the environment names this moment; else do nothing."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
