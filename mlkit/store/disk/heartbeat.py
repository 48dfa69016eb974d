"""The heartbeat of a process, in a file that other processes read."""

import os
import struct
import time
from pathlib import Path
from typing import Final

from mlkit.store.disk import modes, plain_files

FILE: Final = "mlkit-log.pulse"  # in the folder of a server's metrics
TIMEOUT_S: Final = 15.0  # twice the slowest step of a healthy process

_MOMENT: Final = struct.Struct("=d")  # of the monotonic clock, which is the same in all processes


def beat(file: Path) -> None:
    """Write a heartbeat; raises OSError."""
    handle = modes.open_file(file, os.O_WRONLY | os.O_CREAT)
    try:
        os.pwrite(handle, _MOMENT.pack(time.monotonic()), 0)  # in place: needs no disk space
    finally:
        os.close(handle)


def age_s(file: Path) -> float | None:
    """Return the age of the last heartbeat, None if there was none since the boot."""
    try:
        raw = plain_files.read(file)
    except FileNotFoundError:
        return None
    if len(raw) != _MOMENT.size:
        return None
    age = time.monotonic() - float(_MOMENT.unpack(raw)[0])
    return age if age >= 0 else None
