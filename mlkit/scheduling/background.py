"""Low priority for background work, so that it does not slow down a server beside it."""

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 10


def lower_priority() -> None:
    """Lower the priority of this process and, unless it has a terminal, of its session.

    With ``sched_autogroup`` the kernel shares the processors by session, and the niceness of a
    process matters only within its session. The session of a terminal also runs other programs of
    the user, so its priority stays.
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
