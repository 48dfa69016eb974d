"""The audit trail: an append-only hash chain, so that a removed or edited row is noticed."""

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime

GENESIS = "0" * 64


class AuditEvent(Base):
    """Who did what to which subject, and the hash of everything before."""

    __tablename__ = "audit_event"

    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))

    def digest(self) -> str:
        """Return the sha256 over the previous hash and this event's content."""
        content = [
            self.previous, self.seq, self.at.isoformat(), self.actor, self.action, self.subject,
            self.details,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def record(
    s: Session, at: datetime, *, actor: str, action: str, subject: str, details: dict[str, Any]
) -> None:
    """Append an event; the caller holds the write lock, so the chain cannot fork."""
    last = s.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(1)).first()
    event = AuditEvent(
        seq=(last.seq if last else 0) + 1,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        details=details,
        previous=last.hash if last else GENESIS,
    )
    event.hash = event.digest()
    s.add(event)
    s.flush()


def first_break(s: Session) -> int | None:
    """Return the seq of the first event that does not follow from the one before, or None."""
    previous = GENESIS
    for seq, event in enumerate(s.scalars(select(AuditEvent).order_by(AuditEvent.seq)), start=1):
        if event.seq != seq or event.previous != previous or event.digest() != event.hash:
            return seq
        previous = event.hash
    return None
