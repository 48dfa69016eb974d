"""Translate database errors to errors that tell an operator what to do."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mlkit.errors import BusyError, DamagedError, MlkitError

UNTRANSLATED: Final = SQLAlchemyError  # for callers that continue after any database error
_ROOM_BYTES: Final = 1 << 20
_RESTORE = "restore a backup (see: mlkit backup restore)"


def translated(error: PoolTimeoutError | DatabaseError, place: str) -> MlkitError | None:
    """Return the error for an operator about the database at ``place``, None for a bug."""
    if isinstance(error, PoolTimeoutError):
        return BusyError("all connections to the database are in use; try again")
    text = str(error.orig)
    if isinstance(error, OperationalError):
        return _operational(error, text, place)
    if "malformed" in text or "not a database" in text:
        return DamagedError(f"{place} is damaged: {text}; {_RESTORE}")
    if "has no equivalent in encoding" in text:  # PostgreSQL's words
        reason = text.strip().partition("\n")[0]
        return MlkitError(f"{place} should be a database in UTF8: {reason} (db.url)")
    if error.statement is None:  # an option of the URL that the driver does not accept
        return MlkitError(f"cannot connect to the database {place}: {text.strip()} (db.url)")
    return None


def _remedy(text: str, place: str) -> str:
    """Return what to do; SQLite reports a full disk as an I/O error if it cannot create files."""
    with suppress(OSError):
        found = os.statvfs(Path(place).parent)
        if "full" in text or found.f_bavail * found.f_frsize < _ROOM_BYTES:
            return "the disk is full: make room there and try again"
    if "disk I/O" in text:
        return "check the kernel's messages about the disk (dmesg), and its free space"
    return "check the owner of the file and its folder, and the disk's mount (see: mlkit doctor)"


def _operational(error: OperationalError, text: str, place: str) -> MlkitError | None:
    if text.startswith("no such table"):  # SQLite's words
        return DamagedError(
            f"{place} is not the database of this project, or lacks a part: {text}; put the right "
            "one back (see: mlkit backup restore)"
        )
    if "locked" in text or "busy" in text or "lock timeout" in text:
        return BusyError("the database is locked by another process; try again")
    if any(word in text for word in ("readonly", "full", "unable to open", "disk I/O")):
        return MlkitError(f"cannot use the database: {text} ({place}); {_remedy(text, place)}")
    if error.connection_invalidated or error.statement is None:  # lost, or never established
        reason = text.strip().partition("\n")[0]
        return BusyError(f"cannot reach the database {place}: {reason}")
    if "Could not decode" in text:
        return DamagedError(f"a text in {place} is not as it was recorded: {text[:80]}; {_RESTORE}")
    return None
