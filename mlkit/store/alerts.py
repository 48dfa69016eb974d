"""Alerts: one row per ongoing matter, and an outbox of what is still to be delivered."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, ForeignKey, Index, String, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from mlkit.errors import NotFoundError
from mlkit.store.base import Base, UtcDateTime

Event = Literal["firing", "resolved"]
Severity = Literal["warning", "critical"]


class Alert(Base):
    """One matter from the moment it was first seen until it ended."""

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "uq_alert_ongoing",
            "key",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(String(64))
    summary: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    times_seen: Mapped[int] = mapped_column(default=1)
    acked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acked_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolution: Mapped[str | None]

    deliveries: Mapped[list["AlertDelivery"]] = relationship(
        back_populates="alert", order_by="AlertDelivery.id"
    )


class AlertDelivery(Base):
    """One message about an alert to one sink; written with the alert, sent afterwards."""

    __tablename__ = "alert_delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"), index=True)
    event: Mapped[str] = mapped_column(String(16))
    sink: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None]

    alert: Mapped[Alert] = relationship(back_populates="deliveries", lazy="joined")


def open_or_update(s: Session, new: Alert) -> bool:
    """Add ``new``, or let the ongoing alert of its key say the same; tell whether it was added."""
    if _update_ongoing(s, new):
        return False
    try:
        with s.begin_nested():
            s.add(new)
    except IntegrityError:  # another process opened it since; only where writers run in parallel
        _update_ongoing(s, new)
        return False
    return True


def resolve(s: Session, alert: Alert, reason: str, now: datetime) -> bool:
    """End an ongoing alert and tell whether it was this call that ended it."""
    done = s.execute(
        update(Alert)
        .where(Alert.id == alert.id, Alert.resolved_at.is_(None))
        .values(resolved_at=now, resolution=reason)
    )
    return int(done.rowcount) == 1  # type: ignore[attr-defined]  # an UPDATE returns a CursorResult


def ack(s: Session, alert: Alert, actor: str, now: datetime) -> bool:
    """Mark an ongoing alert as seen by ``actor`` and tell whether nobody had before."""
    done = s.execute(
        update(Alert)
        .where(Alert.id == alert.id, Alert.resolved_at.is_(None), Alert.acked_at.is_(None))
        .values(acked_at=now, acked_by=actor)
    )
    return int(done.rowcount) == 1  # type: ignore[attr-defined]  # an UPDATE returns a CursorResult


def get(s: Session, alert_id: int) -> Alert:
    """Return the alert; raises NotFoundError."""
    alert = s.get(Alert, alert_id)
    if alert is None:
        raise NotFoundError(f"no alert has the number {alert_id} (see: mlkit alert list --all)")
    return alert


def ongoing(
    s: Session,
    *,
    key: str | None = None,
    model: str | None = None,
    kinds: Collection[str] | None = None,
) -> list[Alert]:
    """Return the alerts that have not ended, oldest first."""
    query = select(Alert).where(Alert.resolved_at.is_(None))
    if key is not None:
        query = query.where(Alert.key == key)
    if model is not None:
        query = query.where(Alert.model == model)
    if kinds is not None:
        query = query.where(Alert.kind.in_(kinds))
    return list(s.scalars(query.order_by(Alert.id)))


def newest(s: Session, limit: int) -> list[Alert]:
    """Return the newest alerts, ended ones too, newest first."""
    return list(s.scalars(select(Alert).order_by(Alert.id.desc()).limit(limit)))


def since(s: Session, model: str, moment: datetime, limit: int) -> list[Alert]:
    """Return the newest alerts about ``model`` that were still ongoing at ``moment`` or later."""
    query = select(Alert).where(
        Alert.model == model, or_(Alert.resolved_at.is_(None), Alert.resolved_at >= moment)
    )
    return list(s.scalars(query.order_by(Alert.id.desc()).limit(limit)))


def enqueue(s: Session, alert_id: int, event: Event, sinks: Iterable[str]) -> None:
    """Put a message about the alert into the outbox of each sink."""
    s.add_all(AlertDelivery(alert_id=alert_id, event=event, sink=sink) for sink in sinks)
    s.flush()


def undelivered(s: Session, *, max_attempts: int) -> list[AlertDelivery]:
    """Return the messages that are still to be sent, oldest first."""
    query = select(AlertDelivery).where(
        AlertDelivery.delivered_at.is_(None), AlertDelivery.attempts < max_attempts
    )
    return list(s.scalars(query.order_by(AlertDelivery.id)))


def record_attempt(
    s: Session, delivery_id: int, *, delivered_at: datetime | None, error: str | None
) -> None:
    """Write down how sending a message went."""
    s.execute(
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery_id)
        .values(attempts=AlertDelivery.attempts + 1, delivered_at=delivered_at, error=error)
    )


def _update_ongoing(s: Session, new: Alert) -> bool:
    done = s.execute(
        update(Alert)
        .where(Alert.key == new.key, Alert.resolved_at.is_(None))
        .values(
            severity=new.severity,
            summary=new.summary,
            details=new.details,
            last_seen_at=new.last_seen_at,
            times_seen=Alert.times_seen + 1,
        )
    )
    return int(done.rowcount) == 1  # type: ignore[attr-defined]  # an UPDATE returns a CursorResult
