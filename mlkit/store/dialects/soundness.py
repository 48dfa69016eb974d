"""What SQLite itself says of a database: whether it is whole, and how it is set."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def damage(s: Session) -> str | None:
    """Return what SQLite itself finds wrong with a database, or None."""
    first = str(s.execute(text("PRAGMA integrity_check(1)")).scalar())
    if first != "ok":
        return first
    orphan = s.execute(text("PRAGMA foreign_key_check")).first()
    return None if orphan is None else f"a row of '{orphan[0]}' names a row that is not there"


def pragma(s: Session, name: str) -> str:
    """Return a setting of the connection as text, such as ``wal`` for ``journal_mode``."""
    return str(s.execute(text(f"PRAGMA {name}")).scalar())
