"""The journal: what a server has answered, on its way into the database.

One file per process, held locked by its owner and only ever appended to: one framed record per
request. A file whose lock is free belongs to nobody any more and may be imported and removed.
"""

import errno
import fcntl
import io
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from mlkit.errors import BusyError
from mlkit.store.base import new_id
from mlkit.store.disk import modes, plain_files, record_file
from mlkit.store.disk.blobs import sync
from mlkit.store.disk.record_file import RecordFile

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One answered request; the lists have one item per row.

    Values, not the JSON texts that the database keeps: these cost twenty times as much to write
    (measured), and nobody waits for them. ``features`` are little-endian doubles, row after row,
    where every value is a number and there. ``owner`` and ``digest`` say who chose the request id,
    and for what content; both are empty where no client chose it.
    """

    request_id: str
    model_id: int
    version_id: int
    version: int
    role: str
    served_us: int
    latency_us: int
    ids: list[str]
    entities: list[str | None] | None
    features: list[tuple[Any, ...]] | bytes
    values: list[str | int | float | bool]
    probabilities: list[list[float]] | None
    owner: str = ""
    digest: str = ""
    whole: bool = True  # no byte of a record ends it but this one, which is not zero


class Scan(NamedTuple):
    """What a journal holds; ``damaged`` if bytes are left over that no torn write explains."""

    entries: list[Entry]
    damaged: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Journal:
    """The journal of this process; safe to use from several threads."""

    def __init__(
        self, folder: Path, *, power_safe: bool = False, within: Path | None = None
    ) -> None:
        """``folder`` is made when it is needed, unless ``within`` is gone."""
        self._folder = folder
        self._within = within
        self._power_safe = power_safe
        self._file_lock = threading.Lock()  # to flush, rotate or close; taken before the other one
        self._append_lock = threading.Lock()  # to append
        self._file: RecordFile | None = None

    def append(self, entry: Entry, now: datetime) -> None:
        """Put ``entry`` on record; when this returns, no death of any process can lose it.

        Raises BusyError, leaving nothing behind, if the disk does not take it.
        """
        payload = _encoder.encode(entry)
        try:
            with self._append_lock:
                if self._file is None:
                    self._file = self._open(now)
                self._file.append(payload)
                current, end = self._file, self._file.size
            if self._power_safe:
                self._sync(current, end)
        except OSError as error:
            with suppress(OSError):
                self.close()  # the next record tries a new file
            raise BusyError(
                f"the prediction log in {self._folder} cannot be written: {error.strerror}; "
                "nothing was answered, try again"
            ) from error

    def rotate(self, now: datetime) -> Path | None:
        """Hand on the present file, if there is one, and return it: its lock is free now.

        While records keep coming, the next file is made before and the old one closed after the
        swap, so that nobody who answers waits for the disk. Raises OSError if it fails to flush.
        """
        with self._file_lock:
            if self._file is None:
                return None
            return self._swap(self._prepare(now) if self._file.size else None)

    def reopen(self, now: datetime) -> None:
        """Make a file, if there is none, to see whether the disk takes it; raises OSError."""
        with self._file_lock:
            made: RecordFile | None = self._open(now)
            with self._append_lock:
                if self._file is None:
                    self._file, made = made, None
        if made is not None:
            made.close()

    def lacks(self) -> str:
        """Return why the next record would be refused, as far as a look at the disk tells."""
        if self._file is not None:
            return ""
        with suppress(OSError):  # the folder is not made yet
            found = os.statvfs(self._folder)
            if found.f_bavail * found.f_frsize < record_file.FIRST_BYTES:
                return f"the prediction log in {self._folder} cannot be written: no space left"
        return ""

    def close(self) -> Path | None:
        """Hand on the present file, if there is one; only a further record makes another."""
        with self._file_lock:
            return self._swap(None)

    def _swap(self, following: RecordFile | None) -> Path | None:
        with self._append_lock:
            old, self._file = self._file, following
        if old is None:
            return None
        try:
            if self._power_safe:
                old.sync()
        finally:
            old.close()
        return old.path

    def _sync(self, current: RecordFile, end: int) -> None:
        """Flush up to ``end``: whoever has the turn does it for all who wait."""
        with self._file_lock:
            if current.synced >= end:
                return
            if current is not self._file:  # handed on by someone whose flush failed
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            current.sync()

    def _prepare(self, now: datetime) -> RecordFile | None:
        """Return the next file, or None: then the next record tries to make it, and complains."""
        try:
            return self._open(now)
        except OSError:
            return None

    def _open(self, now: datetime) -> RecordFile:
        """Make a new file; it gets its name only once it is locked, so nobody takes it for dead."""
        modes.make_folder(self._folder, within=self._within)
        final = self._folder / f"{new_id(now)}{SUFFIX}"
        part = final.with_name(f".{final.name}.part")
        handle = modes.open_file(part, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            made = RecordFile(handle, final)
            part.rename(final)
            if self._power_safe:
                sync(self._folder)
        except OSError:
            os.close(handle)
            part.unlink(missing_ok=True)
            raise
        return made


def frame(entry: Entry) -> bytes:
    """Return the record of ``entry``: length, checksum, content."""
    return record_file.frame(_encoder.encode(entry))


def files(folder: Path) -> list[Path]:
    """Return the journals in ``folder``, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Yield whether nobody owns the journal any more; if so it is ours until the end."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
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
    return collect(stream(path))


def collect(records: Generator[Entry, None, bool]) -> Scan:
    """Return all of ``records`` at once."""
    entries: list[Entry] = []
    while True:
        try:
            entries.append(next(records))
        except StopIteration as end:
            return Scan(entries, bool(end.value))


def stream(path: Path) -> Generator[Entry, None, bool]:
    """Yield the complete records of a journal; return whether there is damage behind them."""
    try:
        with plain_files.opened(path) as file:
            return (yield from scan(file))
    except FileNotFoundError:  # imported and removed by someone else just now
        return False


def scan(file: BinaryIO) -> Generator[Entry, None, bool]:
    """Yield the records in ``file`` up to the first that is not whole, as ``stream`` does."""
    payloads = record_file.payloads(file)
    while True:
        try:
            entry = _decoder.decode(next(payloads))
        except StopIteration as end:
            return bool(end.value)
        except msgspec.DecodeError:
            return True
        yield entry


def find(folder: Path, request_id: str, model_id: int, owner: str = "") -> Entry | None:
    """Return what was answered to the ``request_id`` of ``owner`` if the database may lack it."""
    needle, wanted = request_id.encode(), (request_id, model_id, owner)
    for path in files(folder):
        try:
            content = plain_files.read(path)
        except FileNotFoundError:  # imported just now: the caller looks in the database next
            continue
        if needle not in content:  # a search of bytes is a hundred times faster than decoding
            continue
        for entry in scan(io.BytesIO(content)):
            if (entry.request_id, entry.model_id, entry.owner) == wanted and entry.digest:
                return entry
    return None


def set_aside(path: Path) -> Path:
    """Rename a damaged journal, so that it is kept for a person and not imported again."""
    return path.rename(path.with_suffix(DAMAGED_SUFFIX))
