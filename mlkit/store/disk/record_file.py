"""An append-only file of records, written through a memory map: a write is a copy in memory.

The pages belong to the kernel, so written records survive the death of this process. ``os.write``
would be as safe, but it releases the interpreter lock in the middle of every request.
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
    """Framed records in a file that only this process writes to.

    Only the end of the file is mapped; the kernel writes the pages to the disk.
    """

    def __init__(self, handle: int, path: Path) -> None:
        """Preallocate the first blocks; raises OSError on a full disk."""
        self.path = path
        self.size = 0
        self.synced = 0  # bytes that survive a power cut
        self._handle = handle
        self._start = self._end = 0  # of the mapped part
        self._map = self._extend(1)

    def append(self, payload: bytes) -> None:
        """Append one record; raises OSError, with nothing written, if the disk is full.

        The last byte of ``payload`` must not be zero: by it a reader sees that all of it is there.
        """
        end = self.size + _HEAD.size + len(payload)
        if end > self._end:
            self._map = self._extend(end)
        # First the header, then the payload: if a kill interrupts this, the header gives the length
        # of the torn record, and only zeros follow its declared end.
        at = self.size - self._start
        _HEAD.pack_into(self._map, at, len(payload), zlib.crc32(payload))
        self._map[at + _HEAD.size : end - self._start] = payload
        self.size = end

    def sync(self) -> None:
        """Flush all records to the disk, so that they survive a power cut."""
        size = self.size
        os.fdatasync(self._handle)
        self.synced = size

    def close(self) -> None:
        """Release the unused space and close the file."""
        self._map.close()
        os.ftruncate(self._handle, self.size)
        os.close(self._handle)

    def _extend(self, size: int) -> mmap.mmap:
        """Map the file up to ``size`` or more, preallocated: else a full disk means a SIGBUS."""
        start = self.size - self.size % mmap.ALLOCATIONGRANULARITY
        end = max(size, start + min(2 * self._end, _MOST_AHEAD_BYTES), FIRST_BYTES)
        end += -end % mmap.PAGESIZE
        os.posix_fallocate(self._handle, self._end, end - self._end)
        found = mmap.mmap(self._handle, end - start, offset=start)
        self._start, self._end = start, end
        return found


def frame(payload: bytes) -> bytes:
    """Return one record in the format of the file: header and payload."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def payloads(file: BinaryIO) -> Generator[bytes, None, bool]:
    """Yield the complete records of a file; return whether the rest is damaged.

    The last record may be torn by a kill or a power cut: then its payload ends in zeros, and only
    zeros follow. Anything else is damage, and so is any fault in a file that its owner has closed.
    The file is read and not mapped, because its owner may truncate it at any moment, and so that
    only one record is in memory.
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
    """Tell whether an incomplete record can have been torn by a kill or a power cut.

    A file that is not closed has its preallocated length, whole pages. A payload does not end in a
    zero, so one whose last byte is there was written completely. After a power cut the header may
    be missing too.
    """
    if not length and not checksum:
        return True
    if size % mmap.PAGESIZE or length > _MOST_BYTES:
        return False
    written = payload.rstrip(b"\0")
    return len(written) < length and (not written or zlib.crc32(written) != checksum)


def _any_left(file: BinaryIO) -> bool:
    """Tell whether anything other than zeros follows."""
    return any(part.strip(b"\0") for part in iter(lambda: file.read(_PART_BYTES), b""))
