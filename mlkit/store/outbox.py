"""The outbox: pending messages, and the result of sending each."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mlkit.store.alerts import AlertDelivery, Event
from mlkit.store.base import changed

WAITING: Final[ColumnElement[bool]] = and_(
    AlertDelivery.delivered_at.is_(None), AlertDelivery.dropped_at.is_(None)
)


def add(
    s: Session, alert_id: int, event: Event, sinks: Iterable[str], *, at: datetime, now: datetime
) -> None:
    """Add a message about the alert for each sink, to be sent at ``at`` or later."""
    s.add_all(
        AlertDelivery(alert_id=alert_id, event=event, sink=sink, created_at=now, next_attempt_at=at)
        for sink in sinks
    )
    s.flush()


def add_digest(s: Session, sink: str, *, at: datetime, since: datetime) -> bool:
    """Add a digest of the time since ``since`` if none is pending; return whether it was added."""
    new = AlertDelivery(event="digest", sink=sink, created_at=since, next_attempt_at=at)
    if any(row.event == "digest" for row in waiting(s, sink)):
        return False
    try:
        with s.begin_nested():
            s.add(new)
    except IntegrityError:  # added by a concurrent writer, not possible in SQLite
        return False
    return True


def waiting(s: Session, sink: str) -> list[AlertDelivery]:
    """Return the pending messages of a sink, oldest first."""
    query = select(AlertDelivery).where(WAITING, AlertDelivery.sink == sink)
    return list(s.scalars(query.order_by(AlertDelivery.id)))


def all_waiting(s: Session) -> list[AlertDelivery]:
    """Return all pending messages."""
    return list(s.scalars(select(AlertDelivery).where(WAITING)))


def sinks_waiting(s: Session) -> list[str]:
    """Return the sinks with pending messages."""
    query = select(AlertDelivery.sink).where(WAITING).distinct()
    return list(s.scalars(query.order_by(AlertDelivery.sink)))


def claim(s: Session, delivery_id: int, *, attempts: int, until: datetime) -> bool:
    """Lease a message until ``until`` if it has had ``attempts`` attempts; return success.

    If the process dies, the lease expires and another one sends the message.
    """
    return (
        changed(
            s,
            update(AlertDelivery)
            .where(AlertDelivery.id == delivery_id, AlertDelivery.attempts == attempts, WAITING)
            .values(attempts=attempts + 1, next_attempt_at=until, error=None),
        )
        == 1
    )


def settle(
    s: Session, delivery_id: int, *, delivered_at: datetime | None, error: str | None
) -> None:
    """Record the result of an attempt."""
    changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery_id)
        .values(delivered_at=delivered_at, error=error),
    )


def drop(s: Session, delivery_id: int, now: datetime) -> None:
    """Drop an obsolete message."""
    changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery_id, WAITING)
        .values(dropped_at=now),
    )


def drop_all_but(s: Session, sinks: Collection[str], now: datetime) -> int:
    """Drop the pending messages of sinks other than these; return how many."""
    return changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.sink.not_in(sinks), WAITING)
        .values(dropped_at=now, error="the sink is not configured any more"),
    )


def recall(s: Session, alert_id: int, since: datetime, now: datetime) -> list[str]:
    """Drop the messages about the end of an alert; return the sinks that may have received one.

    ``since`` is when the alert ended.
    """
    ends = (
        AlertDelivery.alert_id == alert_id,
        AlertDelivery.event == "resolved",
        AlertDelivery.created_at >= since,
        AlertDelivery.dropped_at.is_(None),
    )
    told = select(AlertDelivery.sink).where(*ends, AlertDelivery.attempts > 0)
    sinks = list(s.scalars(told))
    changed(
        s, update(AlertDelivery).where(*ends, AlertDelivery.attempts == 0).values(dropped_at=now)
    )
    return sinks


def hasten(s: Session, alert_id: int, now: datetime) -> None:
    """Send the delayed messages about an alert now."""
    changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.alert_id == alert_id, AlertDelivery.attempts == 0, WAITING)
        .values(next_attempt_at=now),
    )


def retry_now(s: Session, sink: str, now: datetime) -> int:
    """Retry the failed messages of a sink now; return how many."""
    return changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.sink == sink, AlertDelivery.error.is_not(None), WAITING)
        .values(next_attempt_at=now),
    )
