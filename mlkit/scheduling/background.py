"""How a process lets others go first: work that no one waits for, beside a server that many do."""

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 10


def lower_priority() -> None:
    """Lower the priority of this process and, if no terminal is behind it, of its session.

    Where the kernel shares the processors by session (``sched_autogroup``), the niceness of a
    process counts within its session alone; that of a terminal is not ours to lower.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    if not _has_terminal():
        with suppress(OSError):  # not Linux, or a container that forbids it
            Path("/proc/self/autogroup").write_text(str(NICENESS))


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
