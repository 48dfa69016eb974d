"""The journal: the predictions of a server that are not in the database yet.

One append-only file per process, locked by its owner, with one framed record per request. A file
whose lock is free has no owner any more and may be imported and removed.
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
from typing import BinaryIO, NamedTuple

import msgspec

from mlkit.errors import BusyError
from mlkit.store.base import new_id
from mlkit.store.disk import modes, plain_files, record_file
from mlkit.store.disk.blobs import sync
from mlkit.store.disk.record_file import RecordFile
from mlkit.store.log_columns import Entry

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"


class Scan(NamedTuple):
    """The entries of a journal; ``damaged`` if bytes follow that no torn write explains."""

    entries: list[Entry]
    damaged: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


class Journal:
    """The journal of this process; safe to use from several threads."""

    def __init__(
        self, folder: Path, *, power_safe: bool = False, within: Path | None = None
    ) -> None:
        """Do not open a file yet; ``folder`` is created when needed, if ``within`` exists."""
        self._folder = folder
        self._within = within
        self._power_safe = power_safe
        self._file_lock = threading.Lock()  # for flush, rotate and close; taken before the other
        self._append_lock = threading.Lock()
        self._file: RecordFile | None = None

    def append(self, entry: Entry, now: datetime) -> None:
        """Write ``entry``; when this returns, it survives the death of any process.

        Raises BusyError, with nothing written, if the disk is full or fails.
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
        """Close the present file, if there is one, and return it: it may now be imported.

        The next file is created before the swap and the old one closed after it, so that no request
        waits for the disk. Raises OSError if flushing fails.
        """
        with self._file_lock:
            if self._file is None:
                return None
            return self._swap(self._prepare(now) if self._file.size else None)

    def reopen(self, now: datetime) -> None:
        """Create a file if there is none, to test whether the disk accepts it; raises OSError."""
        with self._file_lock:
            made: RecordFile | None = self._open(now)
            with self._append_lock:
                if self._file is None:
                    self._file, made = made, None
        if made is not None:
            made.close()

    def shortage(self) -> str:
        """Return why the next record would fail, judged by the free disk space, "" if it fits."""
        if self._file is not None:
            return ""
        with suppress(OSError):  # the folder is not made yet
            found = os.statvfs(self._folder)
            if found.f_bavail * found.f_frsize < record_file.FIRST_BYTES:
                return f"the prediction log in {self._folder} cannot be written: no space left"
        return ""

    def close(self) -> Path | None:
        """Close the present file, if there is one; the next record creates another."""
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
        """Flush up to ``end`` (group commit): one thread flushes for all that wait."""
        with self._file_lock:
            if current.synced >= end:
                return
            if current is not self._file:  # closed by another thread whose flush failed
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            current.sync()

    def _prepare(self, now: datetime) -> RecordFile | None:
        """Return the next file, or None: then the next record creates it or raises the error."""
        try:
            return self._open(now)
        except OSError:
            return None

    def _open(self, now: datetime) -> RecordFile:
        """Create a file, lock it, then rename it, so that no importer ever sees it unlocked."""
        modes.make_folder(self._folder, within=self._within)
        final = self._folder / f"{new_id(now)}{SUFFIX}"
        part = final.with_name(f".{final.name}.part")
        handle = modes.open_file(part, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            created = RecordFile(handle, final)
            part.rename(final)
            if self._power_safe:
                sync(self._folder)
        except OSError:
            os.close(handle)
            part.unlink(missing_ok=True)
            raise
        return created


def frame(entry: Entry) -> bytes:
    """Return the record of ``entry``: length, checksum, content."""
    return record_file.frame(_encoder.encode(entry))


def files(folder: Path) -> list[Path]:
    """Return the journals in ``folder``, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Yield whether the journal has no owner any more; if so, it is locked in the block."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:  # just imported and removed by another process
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
    """Return the complete records of a journal, which may still be written to."""
    return collect(stream(path))


def collect(records: Generator[Entry, None, bool]) -> Scan:
    """Return all of ``records`` as a list, and whether damage follows them."""
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
    except FileNotFoundError:  # just imported and removed by another process
        return False


def scan(file: BinaryIO) -> Generator[Entry, None, bool]:
    """Yield the records in ``file`` up to the first incomplete one, as ``stream`` does."""
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
    """Return the entry of the ``request_id`` of ``owner`` in the journals, None without one."""
    needle, wanted = request_id.encode(), (request_id, model_id, owner)
    for path in files(folder):
        try:
            content = plain_files.read(path)
        except FileNotFoundError:  # just imported: the caller searches the database next
            continue
        if needle not in content:  # searching bytes is a hundred times faster than decoding
            continue
        for entry in scan(io.BytesIO(content)):
            if (entry.request_id, entry.model_id, entry.owner) == wanted and entry.digest:
                return entry
    return None


def set_aside(path: Path) -> Path:
    """Rename a damaged journal, so that it is kept for inspection and not imported again."""
    return path.rename(path.with_suffix(DAMAGED_SUFFIX))
