"""The journal: what a server has answered, on its way into the database.

One file per process, held locked by its owner and only ever appended to: one framed record per
request. A file whose lock is free belongs to nobody any more and may be imported and removed.
"""

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from mlkit.errors import BusyError
from mlkit.store.base import new_id
from mlkit.store.blobs import sync

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"

_FRAME = struct.Struct("<II")  # length and CRC-32 of the payload that follows
_MAX_PAYLOAD = 1 << 30


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One answered request; the lists have one item per row, already as the database keeps them."""

    request_id: str
    model_id: int
    version_id: int
    version: int
    role: str
    served_us: int
    latency_us: int
    ids: list[str]
    entities: list[str | None] | None
    features: list[str]
    values: list[str]
    probabilities: list[str] | None


class Scan(NamedTuple):
    """What a journal holds; ``damaged`` if bytes are left over that no torn write explains."""

    entries: list[Entry]
    damaged: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Journal:
    """The journal of this process; safe to use from several threads."""

    def __init__(self, folder: Path, *, power_safe: bool = False) -> None:
        self._folder = folder
        self._power_safe = power_safe
        self._lock = threading.Lock()
        self._handle = -1
        self._size = 0
        self.path: Path | None = None

    def append(self, entry: Entry, now: datetime) -> None:
        """Put ``entry`` on record; when this returns, no death of any process can lose it.

        Raises BusyError, leaving nothing behind, if the disk does not take it.
        """
        record = frame(entry)
        with self._lock:
            try:
                if self._handle < 0:
                    self._open(now)
                self._write(record)
            except OSError as error:
                self._undo()
                raise BusyError(
                    f"the prediction log in {self._folder} cannot be written: {error.strerror}; "
                    "nothing was answered, try again"
                ) from error

    def rotate(self) -> Path | None:
        """Close the present file, if there is one, and return it: its lock is free now."""
        with self._lock:
            closed = self.path
            self._close()
            return closed

    def _open(self, now: datetime) -> None:
        """Make a new file; it gets its name only once it is locked, so nobody takes it for dead."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        final = self._folder / f"{new_id(now)}{SUFFIX}"
        part = final.with_name(f".{final.name}.part")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._handle = os.open(part, flags, 0o600)
        self._size = 0
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        part.rename(final)
        self.path = final
        if self._power_safe:
            sync(self._folder)

    def _write(self, record: bytes) -> None:
        written = os.write(self._handle, record)
        if written < len(record):
            raise OSError(0, f"only {written} of {len(record)} bytes fit")
        if self._power_safe:
            os.fdatasync(self._handle)
        self._size += len(record)

    def _undo(self) -> None:
        """Drop what a failed write left, and never append behind it."""
        if self._handle >= 0:
            with suppress(OSError):  # the reader drops a torn last record by itself
                os.ftruncate(self._handle, self._size)
        self._close()

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self.path = -1, None


def frame(entry: Entry) -> bytes:
    """Return the record of ``entry``: length, checksum, content."""
    payload = _encoder.encode(entry)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def files(folder: Path) -> list[Path]:
    """Return the journals in ``folder``, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Yield whether nobody owns the journal any more; if so it is ours until the end."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # imported and removed by someone else just now
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def read(path: Path) -> Scan:
    """Return the complete records of a journal, also of one that is being written right now."""
    try:
        return scan(path.read_bytes())
    except FileNotFoundError:  # imported and removed by someone else just now
        return Scan([], damaged=False)


def scan(content: bytes) -> Scan:
    """Return the records in ``content`` up to the first that is not whole.

    A write that was cut short leaves the beginning of one record at the end and nothing else;
    a power cut may leave zeros there. Anything more than that is damage.
    """
    entries: list[Entry] = []
    at = 0
    while at + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, at)
        payload = content[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) < length:
            return Scan(entries, damaged=length > _MAX_PAYLOAD)
        if not length or zlib.crc32(payload) != checksum:
            return Scan(entries, damaged=any(content[at:]))
        try:
            entries.append(_decoder.decode(payload))
        except msgspec.DecodeError:
            return Scan(entries, damaged=True)
        at += _FRAME.size + length
    return Scan(entries, damaged=False)


def find(folder: Path, request_id: str, model_id: int) -> Entry | None:
    """Return what was answered to ``request_id`` if it is still on its way to the database."""
    needle = request_id.encode()
    for path in files(folder):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # imported just now: the caller looks in the database next
            continue
        if needle not in content:  # a search of bytes is a hundred times faster than decoding
            continue
        for entry in scan(content).entries:
            if entry.request_id == request_id and entry.model_id == model_id:
                return entry
    return None


def set_aside(path: Path) -> Path:
    """Rename a damaged journal, so that it is kept for a person and not imported again."""
    return path.rename(path.with_suffix(DAMAGED_SUFFIX))
