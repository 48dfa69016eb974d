"""How often somebody may ask: one number per bucket, in a file that all workers share.

The generic cell rate algorithm (ITU-T I.371): each request moves the time at which the bucket is
empty again by 1/rate; who is a whole second ahead of the clock has to wait. Two workers that write
the same number at the same instant may let one request too many pass; nothing waits for a lock.
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
    """Buckets by number, shared by all processes that open the same file."""

    def __init__(self, file: Path, count: int) -> None:
        """Open or make the file; without room on the disk each process counts by itself."""
        size = count * _CELL.size
        self.alone = ""
        try:
            self._cells = _map(file, size)
        except OSError as error:  # a full disk must not keep the server from answering
            self.alone = f"{file}: {error.strerror}"
            self._cells = mmap.mmap(-1, size)
        self._count = count

    def take(self, bucket: int, rate: float) -> float:
        """Take one request out of ``bucket``; return 0, or the seconds to wait."""
        now = time.monotonic()
        place = bucket % self._count * _CELL.size
        (empty,) = _CELL.unpack_from(self._cells, place)
        if not now <= empty <= now + _BURST_S + 1 / rate:  # long ago, or before a reboot
            empty = now
        if empty - now > max(_BURST_S - 1 / rate, 0.0):
            return float(empty - now)
        _CELL.pack_into(self._cells, place, empty + 1 / rate)
        return 0.0


def _map(file: Path, size: int) -> mmap.mmap:
    """Map the file: a page without a block on the disk behind it would end the process."""
    modes.make_folder(file.parent)
    handle = modes.open_file(file, os.O_RDWR | os.O_CREAT)
    try:
        os.posix_fallocate(handle, 0, size)
        return mmap.mmap(handle, size)
    finally:
        os.close(handle)


class Failures:
    """Wrong tokens by client address: after ``most`` in a minute an address has to wait."""

    def __init__(self, most: int) -> None:
        self._step = _WITHIN_S / most if most else 0.0
        self._empty: dict[str, float] = {}

    def count(self, address: str) -> float:
        """Note a failure; return 0, or the seconds for which this address is not even looked at."""
        if not self._step:
            return 0.0
        now = time.monotonic()
        empty = max(self._empty.pop(address, now), now)
        if empty - now > _WITHIN_S - self._step:
            self._empty[address] = empty
            return empty - now - (_WITHIN_S - self._step)
        if len(self._empty) >= _MOST_ADDRESSES:  # forget who failed longest ago
            self._empty.pop(next(iter(self._empty)))
        self._empty[address] = empty + self._step
        return 0.0
