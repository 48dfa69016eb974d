"""The number of every commit, in the database, to be compared with what was witnessed outside.

For SQLite: its own checks do not see that the end of the write-ahead log is gone. Another database
has a log and tools of its own.
"""

from sqlalchemy import BigInteger, delete, insert, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base

_MOST = 1 << 62
_LOOK = text("SELECT number, lost FROM commit_count")  # text: this is done at every commit
_COUNT = text("UPDATE commit_count SET number = :number, lost = :lost")


class CommitCount(Base):
    """One row: the number of the last commit, and how many were missing that had been made."""

    __tablename__ = "commit_count"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    lost: Mapped[int] = mapped_column(BigInteger)


def number(s: Session) -> int:
    """Return the number of the last commit."""
    return _state(s)[0]


def count(s: Session, witnessed: int | None) -> int:
    """Give the commit that is about to be made the next number, and return it.

    Nobody else commits now, so what is witnessed beyond the number before has been lost: that is
    remembered, because later commits would hide it.
    """
    last, gone = _state(s)
    missing = max((witnessed or 0) - last, 0)
    following = last + missing + 1
    s.execute(_COUNT, {"number": following, "lost": gone + missing})
    return following


def lost(s: Session, witnessed: int) -> int:
    """Return how many commits were made that are not in the database."""
    last, gone = _state(s)
    return gone + max(witnessed - last, 0)


def forgive(s: Session, witnessed: int | None) -> None:
    """Count from the last commit that anybody knows of: a person has accepted what is there."""
    last = max(number(s), witnessed or 0)
    s.execute(delete(CommitCount))
    s.execute(insert(CommitCount).values(id=1, number=last, lost=0))


def _state(s: Session) -> tuple[int, int]:
    """Return what is counted; a row that was never written so counts nothing, so all is missed."""
    row = s.execute(_LOOK).first() or (0, 0)
    last, gone = (n if isinstance(n, int) and 0 <= n < _MOST else 0 for n in row)
    return last, gone


def changes(s: Session) -> int:
    """Return how many rows this connection has changed so far; SQLite counts them."""
    return int(s.connection().connection.driver_connection.total_changes)  # type: ignore[union-attr]  # of both drivers
