"""Read files that a project owns: a pipe in the place of one would make every command wait."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading; raises OSError for a folder, a pipe or a device."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    with open(handle, "rb") as stream:  # noqa: PTH123  # a descriptor, not a path
        yield stream


def read(path: Path) -> bytes:
    """Return what is in an ordinary file; raises OSError as ``opened`` does."""
    with opened(path) as stream:
        return stream.read()
