"""SQLite's own integrity checks, and its settings (pragmas)."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def damage(s: Session) -> str | None:
    """Return the first fault that SQLite finds in a database, or None."""
    first = str(s.execute(text("PRAGMA integrity_check(1)")).scalar())
    if first != "ok":
        return first
    orphan = s.execute(text("PRAGMA foreign_key_check")).first()
    return None if orphan is None else f"a row of '{orphan[0]}' names a row that is not there"


def pragma(s: Session, name: str) -> str:
    """Return a setting of the connection as text, such as ``wal`` for ``journal_mode``."""
    return str(s.execute(text(f"PRAGMA {name}")).scalar())
