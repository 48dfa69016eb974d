"""Remove all bytes of deleted rows from the files of a SQLite database: free space, log, index."""

import time
from pathlib import Path

from mlkit.errors import BusyError
from mlkit.store.engine import Database

_LOCKS = Path("/proc/locks")
_FIRST, _LAST = 120, 127  # lock bytes of the -shm file, see sqlite.org/walformat.html
_PAUSE_S = 0.2


def purge(database: Database, *, patience_s: float) -> None:
    """Rewrite the database and empty its write-ahead log, while other processes use it.

    ``secure_delete`` overwrites a deleted row, but not old copies in pages that its rows were moved
    from, nor earlier pages in the log. Raises BusyError, naming the processes that still read an
    older snapshot after ``patience_s``.
    """
    if not database.is_sqlite:
        return
    until = time.monotonic() + patience_s
    with database.bare() as connection:
        connection.exec_driver_sql("VACUUM")
        while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
            if time.monotonic() > until:
                raise BusyError(
                    f"{database.location}-wal still has what was deleted: {_named(database)} an "
                    "older state of it; end that or wait, then say the same again"
                )
            time.sleep(_PAUSE_S)


def holders(database: Database) -> list[str]:
    """Return the processes that hold a lock on the log, as far as ``/proc`` shows them."""
    index = Path(f"{database.location}-shm")
    if not _LOCKS.exists() or not index.exists():
        return []
    inode = index.stat().st_ino
    pids = {
        int(words[4])
        for words in map(str.split, _LOCKS.read_text().splitlines())
        if _is_on(words, inode)
    }
    return [f"{pid} ({_command(pid)})" for pid in sorted(pids)]


def _is_on(words: list[str], inode: int) -> bool:
    """Tell whether a line of ``/proc/locks`` is a lock of a reader or writer on the index."""
    if len(words) != 8 or words[5].rpartition(":")[2] != str(inode):
        return False
    return _FIRST <= int(words[6]) <= _LAST


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "ended, or of another user"
    return b" ".join(words).decode(errors="replace").strip()[:100]


def _named(database: Database) -> str:
    found = holders(database)
    return f"process {', '.join(found)} reads" if found else "another process reads"
