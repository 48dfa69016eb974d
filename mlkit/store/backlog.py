"""The size of the journals that are not yet imported into the database, for the metrics."""

import os
from pathlib import Path
from typing import Final

from mlkit.store import journal

_STEP: Final = 1 << 16


def waiting_bytes(folder: Path) -> int:
    """Return how many bytes of records are in the journals in ``folder``."""
    return sum(_written(path) for path in journal.files(folder))


def _written(path: Path) -> int:
    """Return the size of a journal without the preallocated zeros after its last record."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:  # imported and removed meanwhile
        return 0
    try:
        end = os.fstat(handle).st_size
        while end:
            start = max(0, end - _STEP)
            found = os.pread(handle, end - start, start).rstrip(b"\0")
            if found:
                return start + len(found)
            end = start
        return 0
    finally:
        os.close(handle)
