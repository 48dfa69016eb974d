"""A commit counter in the database, compared with the number in a witness file outside.

SQLite only: its own checks do not detect that the end of the write-ahead log is lost. Other
databases have their own log checks.
"""

from sqlalchemy import BigInteger, delete, insert, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base

_MOST = 1 << 62
_LOOK = text("SELECT number, lost FROM commit_count")  # plain SQL for speed: runs at every commit
_COUNT = text("UPDATE commit_count SET number = :number, lost = :lost")


class CommitCount(Base):
    """One row: the number of the last commit, and how many commits were found lost."""

    __tablename__ = "commit_count"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    lost: Mapped[int] = mapped_column(BigInteger)


def number(s: Session) -> int:
    """Return the number of the last commit."""
    return _state(s)[0]


def count(s: Session, witnessed: int | None) -> int:
    """Assign the next number to the commit in progress, and return it.

    The write lock excludes other commits, so witnessed commits beyond the last number were lost.
    Their count is stored, because later commits would hide it.
    """
    last, gone = _state(s)
    missing = max((witnessed or 0) - last, 0)
    following = last + missing + 1
    s.execute(_COUNT, {"number": following, "lost": gone + missing})
    return following


def lost(s: Session, witnessed: int) -> int:
    """Return how many commits are missing from the database."""
    last, gone = _state(s)
    return gone + max(witnessed - last, 0)


def forgive(s: Session, witnessed: int | None) -> None:
    """Restart at the highest known commit: a user has accepted the present state."""
    last = max(number(s), witnessed or 0)
    s.execute(delete(CommitCount))
    s.execute(insert(CommitCount).values(id=1, number=last, lost=0))


def _state(s: Session) -> tuple[int, int]:
    """Return the counters; an invalid row counts as zero, so that all commits are missing."""
    row = s.execute(_LOOK).first() or (0, 0)
    last, gone = (n if isinstance(n, int) and 0 <= n < _MOST else 0 for n in row)
    return last, gone


def changes(s: Session) -> int:
    """Return how many rows this connection has changed so far, by SQLite's counter."""
    return int(s.connection().connection.driver_connection.total_changes)  # type: ignore[union-attr]  # of both drivers
