"""The SQLite driver, whether its version is safe in WAL mode, and which disks are refused.

SQLite from 3.7.0 to 3.51.2 can lose committed data in WAL mode when two connections write or
checkpoint at once (https://sqlite.org/wal.html, "WAL-reset bug"); the journal mode depends on it.
"""

import re
from pathlib import Path
from types import ModuleType

from mlkit.errors import MlkitError

_NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "ceph")


def sqlite_driver() -> ModuleType:
    """Return the newest SQLite available: the pysqlite3 wheel, else the standard library's."""
    try:
        from pysqlite3 import dbapi2  # absent on some platforms
    except ImportError:
        import sqlite3 as dbapi2
    driver: ModuleType = dbapi2
    return driver


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Tell whether SQLite ``version`` has the fix of the WAL-reset bug.

    >>> wal_is_safe((3, 40, 1)), wal_is_safe((3, 50, 7)), wal_is_safe((3, 53, 0))
    (False, True, True)
    """
    if version >= (3, 51, 3):
        return True
    backported = {(3, 44): 6, (3, 50): 7}
    return version[2] >= backported.get(version[:2], 1 << 30)


def refuse_network_file_system(path: Path, mounts: str | None = None) -> None:
    """Raise MlkitError if ``path`` is on a network file system, where SQLite's locks do not work.

    ``mounts`` is the text of ``/proc/mounts``; read from there when not given.
    """
    if mounts is None:
        table = Path("/proc/mounts")
        mounts = table.read_text() if table.exists() else ""
    best = ("", "")
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split()
        inside = path.resolve().is_relative_to(_unescape(point))
        if inside and len(point) >= len(best[0]):
            best = (point, kind)
    if best[1] in _NETWORK_FILE_SYSTEMS:
        raise MlkitError(
            f"{path} is on a network file system ({best[1]}), where SQLite loses data; "
            "move the project to a local disk or set db.url to a PostgreSQL database"
        )


def _unescape(point: str) -> str:
    """Return a mount point without the octal escapes of blanks, line breaks and backslashes.

    >>> _unescape("/mnt/my" + chr(92) + "040disk")
    '/mnt/my disk'
    """
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
