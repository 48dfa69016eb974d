"""Read regular files only: a pipe in the place of one would block every command."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; raises OSError for a folder, a pipe or a device."""
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
    """Return the content of a regular file; raises OSError as ``opened`` does."""
    with opened(path) as stream:
        return stream.read()
