"""Rate limits: one number per bucket, in a file that all workers share.

The generic cell rate algorithm (ITU-T I.371). A bucket stores the theoretical arrival time (TAT);
a request is admitted if TAT - now <= burst - 1/rate, and then TAT <- max(TAT, now) + 1/rate, with a
burst of one second. There is no lock: two workers that write one bucket at the same instant may
admit one request too many.
"""

import mmap
import os
import struct
import time
from pathlib import Path
from typing import Final

from mlkit.store.disk import modes

_CELL: Final = struct.Struct("<d")
_BURST_S: Final = 1.0
_WITHIN_S: Final = 60.0
_MOST_ADDRESSES: Final = 10_000


class Limits:
    """Numbered buckets, shared by all processes that open the same file."""

    def __init__(self, file: Path, count: int) -> None:
        """Open or create the file; on a full disk each process counts by itself."""
        size = count * _CELL.size
        self.alone = ""
        try:
            self._cells = _map(file, size)
        except OSError as error:  # a full disk must not keep the server from answering
            self.alone = f"{file}: {error.strerror}"
            self._cells = mmap.mmap(-1, size)
        self._count = count

    def take(self, bucket: int, rate: float) -> float:
        """Admit one request into ``bucket`` and return 0, or return the seconds to wait."""
        now = time.monotonic()
        offset = bucket % self._count * _CELL.size
        (arrival,) = _CELL.unpack_from(self._cells, offset)  # the theoretical arrival time
        if not now <= arrival <= now + _BURST_S + 1 / rate:  # long ago, or before a reboot
            arrival = now
        if arrival - now > max(_BURST_S - 1 / rate, 0.0):
            return float(arrival - now)
        _CELL.pack_into(self._cells, offset, arrival + 1 / rate)
        return 0.0


def _map(file: Path, size: int) -> mmap.mmap:
    """Map the file, preallocated: writing to an unallocated page of a full disk is a SIGBUS."""
    modes.make_folder(file.parent)
    handle = modes.open_file(file, os.O_RDWR | os.O_CREAT)
    try:
        os.posix_fallocate(handle, 0, size)
        return mmap.mmap(handle, size)
    finally:
        os.close(handle)


class Failures:
    """Wrong tokens by client address: after ``most`` in a minute an address is blocked."""

    def __init__(self, most: int) -> None:
        self._step = _WITHIN_S / most if most else 0.0
        self._arrivals: dict[str, float] = {}  # theoretical arrival times, oldest failure first

    def count(self, address: str) -> float:
        """Count a failure; return 0, or the seconds for which this address is blocked."""
        if not self._step:
            return 0.0
        now = time.monotonic()
        arrival = max(self._arrivals.pop(address, now), now)
        if arrival - now > _WITHIN_S - self._step:
            self._arrivals[address] = arrival
            return arrival - now - (_WITHIN_S - self._step)
        if len(self._arrivals) >= _MOST_ADDRESSES:  # forget the oldest failure
            self._arrivals.pop(next(iter(self._arrivals)))
        self._arrivals[address] = arrival + self._step
        return 0.0
