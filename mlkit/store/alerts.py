"""Alerts: one row per ongoing problem, and an outbox of notifications to deliver."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from mlkit.errors import NotFoundError
from mlkit.store.base import Base, NotedTime, changed
from mlkit.store.dialects.json_columns import Remarks

Event = Literal["firing", "escalated", "reminder", "resolved", "digest"]
Severity = Literal["warning", "critical"]

_WAITING: Final = "delivered_at IS NULL AND dropped_at IS NULL"
_WAITING_DIGEST: Final = f"event = 'digest' AND {_WAITING}"


class Alert(Base):
    """One problem from its first detection to its end.

    ``escalated_at`` says when a warning became critical, ``unattended_since`` since when nobody has
    handled it (its opening, or the end of the last snooze), ``flaps`` how often it was reopened
    because it recurred soon after its end.
    """

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
    details: Mapped[dict[str, Any]] = mapped_column(Remarks)
    opened_at: Mapped[datetime] = mapped_column(NotedTime)
    last_seen_at: Mapped[datetime] = mapped_column(NotedTime)
    times_seen: Mapped[int] = mapped_column(default=1)
    acked_at: Mapped[datetime | None] = mapped_column(NotedTime)
    acked_by: Mapped[str | None]
    snoozed_until: Mapped[datetime | None] = mapped_column(NotedTime)
    snoozed_by: Mapped[str | None]
    escalated_at: Mapped[datetime | None] = mapped_column(NotedTime)
    unattended_since: Mapped[datetime | None] = mapped_column(NotedTime)
    flaps: Mapped[int] = mapped_column(default=0)
    resolved_at: Mapped[datetime | None] = mapped_column(NotedTime)
    resolution: Mapped[str | None]

    deliveries: Mapped[list["AlertDelivery"]] = relationship(
        back_populates="alert", order_by="AlertDelivery.id"
    )


class AlertDelivery(Base):
    """One notification to one sink; written in the transaction of its alert, sent afterwards.

    It is pending until it is delivered, or dropped as obsolete, and is not sent before
    ``next_attempt_at``. ``error`` is that of the last attempt, and empty during an attempt. A
    digest has no single alert; at most one is pending per sink.
    """

    __tablename__ = "alert_delivery"
    __table_args__ = (
        Index(
            "ix_alert_delivery_waiting",
            "sink",
            sqlite_where=text(_WAITING),
            postgresql_where=text(_WAITING),
        ),
        Index(
            "uq_alert_delivery_digest",
            "sink",
            unique=True,
            sqlite_where=text(_WAITING_DIGEST),
            postgresql_where=text(_WAITING_DIGEST),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alert.id"), index=True)
    event: Mapped[str] = mapped_column(String(16))
    sink: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime | None] = mapped_column(NotedTime)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(NotedTime)
    delivered_at: Mapped[datetime | None] = mapped_column(NotedTime)
    dropped_at: Mapped[datetime | None] = mapped_column(NotedTime)
    error: Mapped[str | None]

    alert: Mapped[Alert | None] = relationship(back_populates="deliveries", lazy="joined")


def add(s: Session, new: Alert) -> bool:
    """Add an alert and return whether this call opened it."""
    try:
        with s.begin_nested():
            s.add(new)
    except IntegrityError:  # opened by a concurrent writer, not possible in SQLite
        return False
    return True


def update_ongoing(s: Session, new: Alert) -> bool:
    """Update the ongoing alert of this key from ``new``; return whether there is one.

    Its severity is not changed: see ``worsen``.
    """
    return _change(
        s,
        Alert.key == new.key,
        summary=new.summary,
        details=new.details,
        last_seen_at=new.last_seen_at,
        times_seen=Alert.times_seen + 1,
    )


def reopen(s: Session, new: Alert, *, ended_after: datetime) -> datetime | None:
    """Reopen the last alert of this key if it ended since ``ended_after``; return its end."""
    query = select(Alert).where(Alert.key == new.key, Alert.resolved_at > ended_after)
    last = s.scalars(query.order_by(Alert.id.desc()).limit(1)).first()
    if last is None:
        return None
    ended = last.resolved_at
    try:
        with s.begin_nested():
            taken = changed(
                s,
                update(Alert)
                .where(Alert.id == last.id, Alert.resolved_at == ended)
                .values(
                    resolved_at=None,
                    resolution=None,
                    unattended_since=new.last_seen_at,
                    flaps=Alert.flaps + 1,
                ),
            )
    except IntegrityError:  # opened by a concurrent writer
        return None
    return ended if taken and update_ongoing(s, new) else None


def worsen(s: Session, key: str, now: datetime) -> bool:
    """Make the ongoing warning of this key critical and return whether there was one."""
    return _worsen(s, Alert.key == key, now=now)


def escalate(s: Session, alert_id: int, now: datetime) -> bool:
    """Make a warning critical if it is neither acknowledged nor snoozed; return whether it was."""
    return _worsen(s, Alert.id == alert_id, Alert.acked_at.is_(None), _is_awake(now), now=now)


def resolve(s: Session, alert: Alert, reason: str, now: datetime) -> bool:
    """End an ongoing alert and return whether this call ended it."""
    return _change(s, Alert.id == alert.id, resolved_at=now, resolution=reason)


def ack(s: Session, alert: Alert, actor: str, now: datetime) -> bool:
    """Mark an ongoing alert as acknowledged by ``actor``; return whether this was the first one."""
    return _change(s, Alert.id == alert.id, Alert.acked_at.is_(None), acked_at=now, acked_by=actor)


def snooze(s: Session, alert: Alert, actor: str, until: datetime) -> bool:
    """Silence an ongoing alert until ``until``; return whether it was ongoing."""
    return _change(s, Alert.id == alert.id, snoozed_until=until, snoozed_by=actor)


def wake(s: Session, alert_id: int, now: datetime) -> bool:
    """End the snooze of an ongoing alert if it has expired; return whether this call did."""
    over = Alert.snoozed_until <= now
    return _change(s, Alert.id == alert_id, over, snoozed_until=None, unattended_since=now)


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


def snooze_ended(s: Session, now: datetime) -> list[Alert]:
    """Return the ongoing alerts whose snooze is over."""
    query = select(Alert).where(Alert.resolved_at.is_(None), Alert.snoozed_until <= now)
    return list(s.scalars(query.order_by(Alert.id)))


def unattended(s: Session, since: datetime, now: datetime) -> list[Alert]:
    """Return the ongoing warnings that have been unattended at least since ``since``."""
    query = select(Alert).where(
        Alert.resolved_at.is_(None),
        Alert.severity == "warning",
        Alert.acked_at.is_(None),
        _is_awake(now),
        func.coalesce(Alert.unattended_since, Alert.opened_at) <= since,
    )
    return list(s.scalars(query.order_by(Alert.id)))


def ended_since(s: Session, since: datetime) -> list[Alert]:
    """Return the alerts that ended at ``since`` or later, oldest first."""
    return list(s.scalars(select(Alert).where(Alert.resolved_at >= since).order_by(Alert.id)))


def newest(s: Session, limit: int) -> list[Alert]:
    """Return the newest alerts, ended ones too, newest first."""
    return list(s.scalars(select(Alert).order_by(Alert.id.desc()).limit(limit)))


def since(s: Session, model: str, moment: datetime, limit: int) -> list[Alert]:
    """Return the newest alerts about ``model`` that were still ongoing at ``moment`` or later."""
    query = select(Alert).where(
        Alert.model == model, or_(Alert.resolved_at.is_(None), Alert.resolved_at >= moment)
    )
    return list(s.scalars(query.order_by(Alert.id.desc()).limit(limit)))


def open_counts(s: Session) -> dict[tuple[str, str | None], int]:
    """Return how many alerts are open, by severity and model."""
    query = select(Alert.severity, Alert.model, func.count(Alert.id))
    found = s.execute(
        query.where(Alert.resolved_at.is_(None)).group_by(Alert.severity, Alert.model)
    )
    return {(severity, model): count for severity, model, count in found}


def _worsen(s: Session, *states: ColumnElement[bool], now: datetime) -> bool:
    warns = Alert.severity == "warning"
    return _change(s, warns, *states, severity="critical", escalated_at=now)


def _is_awake(now: datetime) -> ColumnElement[bool]:
    return or_(Alert.snoozed_until.is_(None), Alert.snoozed_until <= now)


def _change(s: Session, *states: ColumnElement[bool], **values: object) -> bool:
    """Update an ongoing alert if these conditions hold; return whether they did."""
    ongoing = update(Alert).where(Alert.resolved_at.is_(None), *states)
    return changed(s, ongoing.values(**values)) > 0
