"""A file that is only appended to, through memory: a write is a copy and no system call.

The pages belong to the kernel, so what is written outlives any death of this process. ``os.write``
would do as well, but gives the interpreter's lock away in the middle of every request.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, Final

_HEAD: Final = struct.Struct("<II")  # length and CRC-32 of the payload that follows
_MOST_BYTES: Final = 1 << 30  # of one record
FIRST_BYTES: Final = 1 << 18
_MOST_AHEAD_BYTES: Final = 1 << 22
_PART_BYTES: Final = 1 << 20


class RecordFile:
    """Framed records in a file that this process has opened and nobody else writes to.

    Only the end of the file is in memory: what is written there is the kernel's business.
    """

    def __init__(self, handle: int, path: Path) -> None:
        """Begin at once to make room; raises OSError if the disk has none."""
        self.path = path
        self.size = 0
        self.synced = 0  # as much of it as no power cut can take back
        self._handle = handle
        self._start = self._end = 0  # of the part in memory
        self._map = self._reach(1)

    def append(self, payload: bytes) -> None:
        """Put one record at the end; raises OSError, with nothing written, if the disk is full.

        The last byte of ``payload`` is not zero: by that a reader sees that it is all there.
        """
        end = self.size + _HEAD.size + len(payload)
        if end > self._end:
            self._map = self._reach(end)
        # First the frame, then the content: of a record that a kill cuts short nothing is taken
        # for another one, because behind its declared end there are only zeros.
        at = self.size - self._start
        _HEAD.pack_into(self._map, at, len(payload), zlib.crc32(payload))
        self._map[at + _HEAD.size : end - self._start] = payload
        self.size = end

    def sync(self) -> None:
        """Return when no power cut can take back what is written."""
        size = self.size
        os.fdatasync(self._handle)
        self.synced = size

    def close(self) -> None:
        """Give back the space that was not needed, and the file."""
        self._map.close()
        os.ftruncate(self._handle, self.size)
        os.close(self._handle)

    def _reach(self, size: int) -> mmap.mmap:
        """Return memory up to ``size`` or further: without a block behind it, it would end us."""
        start = self.size - self.size % mmap.ALLOCATIONGRANULARITY
        end = max(size, start + min(2 * self._end, _MOST_AHEAD_BYTES), FIRST_BYTES)
        end += -end % mmap.PAGESIZE
        os.posix_fallocate(self._handle, self._end, end - self._end)
        found = mmap.mmap(self._handle, end - start, offset=start)
        self._start, self._end = start, end
        return found


def frame(payload: bytes) -> bytes:
    """Return one record as it is on a record_file."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def payloads(file: BinaryIO) -> Generator[bytes, None, bool]:
    """Yield the whole records of a tape; return whether there is damage behind them.

    The last record may have been cut short by a kill or a power cut: then its content ends in
    zeros, and nothing but zeros follows. Anything else is damage, and so is whatever is wrong with
    a tape that its owner has closed. The file is read and not mapped: its owner may cut it at any
    moment, and memory shows one record and not the whole record_file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    end = 0
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        end += _HEAD.size + length
        payload = file.read(min(length, _MOST_BYTES))
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            file.seek(end)
            return not _is_torn(payload, length, checksum, size) or _any_left(file)
        yield payload
    return bool(head.strip(b"\0"))


def _is_torn(payload: bytes, length: int, checksum: int, size: int) -> bool:
    """Tell whether a record that is not whole can have been cut short by a kill.

    An open tape is as long as the room that was made for it. A payload ends in no zero, so one
    that is there to its end was written to its end. Where a power cut took all there is no head.
    """
    if not length and not checksum:
        return True
    if size % mmap.PAGESIZE or length > _MOST_BYTES:
        return False
    written = payload.rstrip(b"\0")
    return len(written) < length and (not written or zlib.crc32(written) != checksum)


def _any_left(file: BinaryIO) -> bool:
    """Tell whether anything but zeros follows."""
    return any(part.strip(b"\0") for part in iter(lambda: file.read(_PART_BYTES), b""))
