"""Unique identities of processes, because a pid is soon reused.

An identity is ``host boot pid start``: the boot id of the kernel and the process's start time in
clock ticks since the boot (proc(5), /proc/PID/stat, field 22).
"""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Literal

_PROC = Path("/proc")
_STATE, _START = 0, 19  # indices after the command name, which may contain blanks and parentheses


def identity(pid: int | None = None) -> str:
    """Return the identity of process ``pid`` (default: this one); its start is "gone" if dead."""
    pid = os.getpid() if pid is None else pid
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()} {boot} {pid} {_start(pid) or 'gone'}"


def state(identity_: str) -> Literal["alive", "gone", "elsewhere"]:
    """Tell whether the process lives; ``elsewhere`` if it is of another host or container.

    >>> state(identity())
    'alive'
    """
    host, boot, pid, start = identity_.split()
    if host != socket.gethostname():
        return "elsewhere"
    same_boot = boot == (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return "alive" if same_boot and _start(int(pid)) == start else "gone"


def rename(name: str) -> None:
    """Set the name of this process in ``ps`` and ``top`` (at most 15 bytes), if possible."""
    with suppress(OSError):
        (_PROC / "self/comm").write_text(name)


def kill_group(identity_: str) -> None:
    """Kill the process and its group, if it is still the one of ``identity_``."""
    if state(identity_) == "alive":
        # it has just ended, or belongs to another user; then the kernel ends it with its runner
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(identity_.split()[2]), signal.SIGKILL)


def _start(pid: int) -> str | None:
    """Return the start time of a living process, None if it is dead or a zombie."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in "ZX" else fields[_START]
