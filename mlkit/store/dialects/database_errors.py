"""What an error of a database means to an operator, and what to do about it."""

from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mlkit.errors import BusyError, DamagedError, MlkitError

_RESTORE = "restore a backup (see: mlkit backup restore)"


def translated(error: PoolTimeoutError | DatabaseError, place: str) -> MlkitError | None:
    """Return the error that says what to do about the database at ``place``, None for a bug."""
    if isinstance(error, PoolTimeoutError):
        return BusyError("all connections to the database are in use; try again")
    text = str(error.orig)
    if isinstance(error, OperationalError):
        return _operational(error, text, place)
    if "malformed" in text or "not a database" in text:
        return DamagedError(f"{place} is damaged: {text}; {_RESTORE}")
    if error.statement is None:  # an option of the URL that the driver does not take
        return MlkitError(f"cannot connect to the database {place}: {text.strip()} (db.url)")
    return None


def _operational(error: OperationalError, text: str, place: str) -> MlkitError | None:
    if text.startswith("no such table"):  # SQLite's words
        return DamagedError(
            f"{place} is not the database of this project, or lacks a part: {text}; put the right "
            "one back (see: mlkit backup restore)"
        )
    if "locked" in text or "busy" in text:
        return BusyError("the database is locked by another process; try again")
    if any(word in text for word in ("readonly", "full", "unable to open", "disk I/O")):
        return MlkitError(f"cannot use the database: {text} ({place})")
    if error.connection_invalidated or error.statement is None:  # lost, or never made
        reason = text.strip().partition("\n")[0]
        return BusyError(f"cannot reach the database {place}: {reason}")
    if "Could not decode" in text:
        return DamagedError(f"a text in {place} is not as it was recorded: {text[:80]}; {_RESTORE}")
    return None
