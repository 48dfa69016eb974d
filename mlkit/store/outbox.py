"""The outbox: messages that are still to be sent, and what became of each."""

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
    """Put a message about the alert into the outbox of each sink, to be sent from ``at`` on."""
    s.add_all(
        AlertDelivery(alert_id=alert_id, event=event, sink=sink, created_at=now, next_attempt_at=at)
        for sink in sinks
    )
    s.flush()


def add_digest(s: Session, sink: str, *, at: datetime, since: datetime) -> bool:
    """Put a digest of what was so ``since`` then into the outbox, if none waits; tell whether."""
    new = AlertDelivery(event="digest", sink=sink, created_at=since, next_attempt_at=at)
    if any(row.event == "digest" for row in waiting(s, sink)):
        return False
    try:
        with s.begin_nested():
            s.add(new)
    except IntegrityError:  # another process was faster; only where writers run in parallel
        return False
    return True


def waiting(s: Session, sink: str) -> list[AlertDelivery]:
    """Return the messages that a sink is still to get, oldest first."""
    query = select(AlertDelivery).where(WAITING, AlertDelivery.sink == sink)
    return list(s.scalars(query.order_by(AlertDelivery.id)))


def all_waiting(s: Session) -> list[AlertDelivery]:
    """Return the messages that no sink has taken yet."""
    return list(s.scalars(select(AlertDelivery).where(WAITING)))


def sinks_waiting(s: Session) -> list[str]:
    """Return the sinks that are still to get a message."""
    query = select(AlertDelivery.sink).where(WAITING).distinct()
    return list(s.scalars(query.order_by(AlertDelivery.sink)))


def claim(s: Session, delivery_id: int, *, attempts: int, until: datetime) -> bool:
    """Take a message that has had so many attempts in hand until then; tell whether it is ours.

    Whoever dies with it in hand leaves it to the next one after that time.
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
    """Write down how sending a message went."""
    changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery_id)
        .values(delivered_at=delivered_at, error=error),
    )


def drop(s: Session, delivery_id: int, now: datetime) -> None:
    """Forget a message that nobody needs any more."""
    changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery_id, WAITING)
        .values(dropped_at=now),
    )


def drop_all_but(s: Session, sinks: Collection[str], now: datetime) -> int:
    """Forget what waits for other sinks than these, and return how many messages that were."""
    return changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.sink.not_in(sinks), WAITING)
        .values(dropped_at=now, error="the sink is not configured any more"),
    )


def recall(s: Session, alert_id: int, since: datetime, now: datetime) -> list[str]:
    """Drop the messages that the alert has ended; return the sinks that may have got theirs.

    ``since`` is when it had ended.
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
    """Let the messages about an alert that wait for their time leave now."""
    changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.alert_id == alert_id, AlertDelivery.attempts == 0, WAITING)
        .values(next_attempt_at=now),
    )


def retry_now(s: Session, sink: str, now: datetime) -> int:
    """Let the messages that the sink has failed to take be tried now; return how many."""
    return changed(
        s,
        update(AlertDelivery)
        .where(AlertDelivery.sink == sink, AlertDelivery.error.is_not(None), WAITING)
        .values(next_attempt_at=now),
    )
