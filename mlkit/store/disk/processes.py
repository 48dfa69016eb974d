"""Which process did something, in words that outlive it: a pid alone is soon another process.

An identity is ``host boot pid start``: the boot id of the kernel and the process's start time in
clock ticks since then (proc(5), /proc/PID/stat, field 22).
"""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Literal

_PROC = Path("/proc")
_STATE, _START = 0, 19  # places after the command name, which may hold blanks and parentheses


def identity(pid: int | None = None) -> str:
    """Return the identity of process ``pid``, this one if None; "gone" as start if it is dead."""
    pid = os.getpid() if pid is None else pid
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()} {boot} {pid} {_start(pid) or 'gone'}"


def state(identity_: str) -> Literal["alive", "gone", "elsewhere"]:
    """Tell whether the process lives; ``elsewhere`` if another host (or container) would know.

    >>> state(identity())
    'alive'
    """
    host, boot, pid, start = identity_.split()
    if host != socket.gethostname():
        return "elsewhere"
    same_boot = boot == (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return "alive" if same_boot and _start(int(pid)) == start else "gone"


def rename(name: str) -> None:
    """Let ``ps`` and ``top`` call this process ``name`` (at most 15 bytes), where it may."""
    with suppress(OSError):
        (_PROC / "self/comm").write_text(name)


def kill_group(identity_: str) -> None:
    """Kill the process and its group at once, if it is still the one that ``identity_`` names."""
    if state(identity_) == "alive":
        # it ended a moment ago, or is a colleague's, which the kernel ends with its runner
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(identity_.split()[2]), signal.SIGKILL)


def _start(pid: int) -> str | None:
    """Return the start time of a living process; a zombie is dead."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in "ZX" else fields[_START]
