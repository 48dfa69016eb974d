"""Locks between processes, which the kernel releases when their holder dies.

A lock is a file, which a user may delete. So each lock is also held on one byte of a second file
that nobody deletes by mistake, because nothing works without it: the project's key. The byte
depends on the lock's name and lies past the end of the file; nothing is written.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from mlkit.errors import BusyError
from mlkit.store.disk import modes

_KEY: Final = "key"  # beside the folder of the locks
_FIRST_BYTE: Final = 1 << 40
_RANGE: Final = struct.Struct("hhqqi")  # struct flock: type, whence, start, length, pid
_TRIES: Final = 20


@contextmanager
def exclusive(file: Path, *, busy: str) -> Iterator[None]:
    """Hold an exclusive lock on ``file``; raises BusyError(busy) if another process has it."""
    with _held(file, fcntl.LOCK_EX, busy):
        yield


@contextmanager
def shared(file: Path, *, busy: str) -> Iterator[None]:
    """Hold a shared lock on ``file``; raises BusyError(busy) if a process has it exclusively."""
    with _held(file, fcntl.LOCK_SH, busy):
        yield


@contextmanager
def _held(file: Path, way: int, busy: str) -> Iterator[None]:
    modes.make_folder(file.parent)
    handles: list[int] = []
    try:
        try:
            handles.append(_lock(file, way))
            handles += _lock_key(file, way)
        except BlockingIOError as error:
            raise BusyError(busy) from error
        yield
    finally:
        for handle in handles:
            os.close(handle)


def is_held(file: Path) -> bool:
    """Tell whether a process holds the lock on ``file``, even if the file was deleted."""
    handles: list[int] = []
    try:
        with suppress(FileNotFoundError):  # opened for reading only, for read-only disks
            handles.append(_lock(file, fcntl.LOCK_EX, _to_read))
        handles += _lock_key(file, fcntl.LOCK_EX)
    except BlockingIOError:
        return True
    finally:
        for handle in handles:
            os.close(handle)
    return False


def _to_read(file: Path) -> int:
    return os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _to_write(file: Path) -> int:
    return modes.open_file(file, os.O_RDWR | os.O_CREAT)


def _lock(file: Path, way: int, open_: Callable[[Path], int] = _to_write) -> int:
    """Return a handle that holds the lock; raises BlockingIOError if another process has it.

    The file may be deleted between opening and locking: then the new file must be locked instead.
    """
    for _ in range(_TRIES):
        handle = open_(file)
        try:
            fcntl.flock(handle, way | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), file.stat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise BlockingIOError(f"{file} is deleted again and again")


def _lock_key(file: Path, way: int) -> list[int]:
    """Return a handle that holds the lock on the key, none without a key that can be opened."""
    mode = os.O_RDWR if way == fcntl.LOCK_EX else os.O_RDONLY
    try:
        handle = os.open(file.parent.parent / _KEY, mode | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # a read-only disk, a missing key: the first lock must suffice
        return []
    kind = fcntl.F_WRLCK if way == fcntl.LOCK_EX else fcntl.F_RDLCK
    place = _FIRST_BYTE + zlib.crc32(file.name.encode())
    try:
        # an OFD lock: unlike a POSIX one it is inherited by a fork, as flock is
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _RANGE.pack(kind, os.SEEK_SET, place, 1, 0))
    except OSError:
        os.close(handle)
        raise
    return [handle]
