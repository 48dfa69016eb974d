"""Request ids chosen by clients, with the client and the predictions of each.

A repeated request is compared with its row. The row stays when the predictions are sealed into
segments, and is deleted with them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit import epoch
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.log_columns import Entry


class Request(Base):
    """A request id of one client for one model; prediction ids are consecutive within a request."""

    __tablename__ = "request"
    __table_args__ = (Index(None, "served_at"),)

    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True)
    request_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    owner: Mapped[str] = mapped_column(String(16), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    first_id: Mapped[str] = mapped_column(String(36))
    last_id: Mapped[str] = mapped_column(String(36))
    served_at: Mapped[datetime] = mapped_column(UtcDateTime)


def add(s: Session, entries: Iterable[Entry]) -> None:
    """Add the requests whose id a client has chosen; a newer one replaces an older one.

    The older one has lost its predictions; otherwise the request would have been a repetition.
    """
    rows = [
        {
            "model_id": entry.model_id,
            "request_id": entry.request_id,
            "owner": entry.owner,
            "digest": entry.digest,
            "first_id": entry.ids[0],
            "last_id": entry.ids[-1],
            "served_at": epoch.from_us(entry.served_us),
        }
        for entry in entries
        if entry.digest
    ]
    if not rows:
        return
    dialect = sqlite if s.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(Request)
    changed = {name: insert.excluded[name] for name in ("digest", "first_id", "last_id")}
    statement = insert.on_conflict_do_update(
        index_elements=["model_id", "request_id", "owner"],
        set_={**changed, "served_at": insert.excluded.served_at},
        where=Request.served_at < insert.excluded.served_at,
    )
    s.connection().execute(statement, rows)


def find(s: Session, model_id: int, request_id: str, owner: str) -> Request | None:
    """Return the record of a request id, or None."""
    return s.get(Request, (model_id, request_id, owner))


def forget(s: Session, model_id: int, answered: Sequence[tuple[str, str]]) -> None:
    """Delete the requests that had one of the predictions ``(request id, prediction id)``."""
    for request_id, prediction_id in answered:
        s.execute(
            delete(Request).where(
                Request.model_id == model_id,
                Request.request_id == request_id,
                Request.first_id <= prediction_id,
                Request.last_id >= prediction_id,
            )
        )


def prune(s: Session, cutoff: datetime) -> None:
    """Delete the requests that were answered before ``cutoff``."""
    s.execute(delete(Request).where(Request.served_at < cutoff))
