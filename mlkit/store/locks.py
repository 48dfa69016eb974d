"""Locks between processes that the kernel frees when their holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlkit.errors import BusyError
from mlkit.store import modes


@contextmanager
def exclusive(file: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock on ``file``; raises BusyError with the message ``busy`` if another has it."""
    with _held(file, fcntl.LOCK_EX, busy):
        yield


@contextmanager
def shared(file: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock on ``file`` with others who share it; raises BusyError if one has it alone."""
    with _held(file, fcntl.LOCK_SH, busy):
        yield


@contextmanager
def _held(file: Path, way: int, busy: str) -> Iterator[None]:
    modes.make_folder(file.parent)
    handle = modes.open_file(file, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, way | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(busy) from error
        yield
    finally:
        os.close(handle)


def is_held(file: Path) -> bool:
    """Tell whether a living process holds the lock on ``file``."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)  # on a read-only disk as well
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
