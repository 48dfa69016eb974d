"""Tell people: one alert per ongoing matter, one message when it opens and one when it ends.

Messages are written with the alert and sent afterwards; how, is in ``sinks``.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy.orm import Session

from mlkit.errors import BusyError, ConflictError
from mlkit.flows import messages, sinks
from mlkit.project import Project
from mlkit.settings import Alerts
from mlkit.store import alerts, audit
from mlkit.store.alerts import Alert, AlertDelivery, Severity

MAX_ATTEMPTS = 20


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has not reached its sink; no more is tried after ``MAX_ATTEMPTS``."""

    sink: str
    event: str
    attempts: int
    error: str | None


class AlertLine(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as it is listed."""

    id: int
    key: str
    kind: str
    severity: str
    model: str | None
    status: Literal["open", "acked", "resolved"]
    summary: str
    details: dict[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    acked_at: datetime | None
    acked_by: str | None
    resolved_at: datetime | None
    resolution: str | None
    undelivered: tuple[Undelivered, ...]


class Delivered(msgspec.Struct, frozen=True):
    """How many messages were sent, and how many failed and will be tried again."""

    sent: int
    failed: int


class Outcome(msgspec.Struct, frozen=True):
    """How a test message fared."""

    sink: str
    delivered: bool
    error: str | None = None


def raise_alert(
    project: Project,
    *,
    key: str,
    kind: str,
    severity: Severity,
    model: str | None,
    summary: str,
    details: Mapping[str, Any],
) -> bool:
    """Open the alert ``key``, or update the ongoing one; tell whether it was opened."""
    now = project.now()
    new = Alert(
        key=key,
        kind=kind,
        severity=severity,
        model=model,
        summary=summary,
        details=dict(details),
        opened_at=now,
        last_seen_at=now,
    )
    with project.write() as s:
        return open_in(s, project.settings.alerts, new)


def resolve(project: Project, key: str, reason: str) -> bool:
    """End the ongoing alert ``key``, if there is one, and tell whether there was."""
    with project.read() as s:
        if not alerts.ongoing(s, key=key):
            return False  # the usual case takes no write lock
    with project.write() as s:
        ended = [resolve_in(s, project, alert, reason) for alert in alerts.ongoing(s, key=key)]
    return any(ended)


def resolve_model(project: Project, model: str, kinds: Collection[str], reason: str) -> int:
    """End the ongoing alerts of these kinds about ``model`` and return how many there were."""
    with project.write() as s:
        found = alerts.ongoing(s, model=model, kinds=kinds)
        return sum([resolve_in(s, project, alert, reason) for alert in found])


def open_in(s: Session, settings: Alerts, new: Alert) -> bool:
    """Open or update an alert in a transaction that is under way."""
    opened = alerts.open_or_update(s, new)
    if opened:
        alerts.enqueue(s, new.id, "firing", sinks.configured(settings))
    return opened


def resolve_in(s: Session, project: Project, alert: Alert, reason: str) -> bool:
    """End an alert in a transaction that is under way."""
    ended = alerts.resolve(s, alert, reason, project.now())
    if ended:
        alerts.enqueue(s, alert.id, "resolved", sinks.configured(project.settings.alerts))
    return ended


def ack(project: Project, alert_id: int) -> AlertLine:
    """Record that the actor takes care of the alert; raises NotFoundError, ConflictError."""
    now = project.now()
    with project.write() as s:
        alert = alerts.get(s, alert_id)
        if alert.resolved_at is not None:
            raise ConflictError(f"alert {alert_id} ({alert.key}) has ended: {alert.resolution}")
        if alerts.ack(s, alert, project.actor, now):
            audit.record(
                s, now, actor=project.actor, action="ack", subject=alert.key,
                details={"alert": alert_id},
            )  # fmt: skip
        s.refresh(alert)
        return _line(alert)


def ongoing(project: Project, *, model: str | None = None) -> list[AlertLine]:
    """Return the alerts that have not ended, oldest first."""
    with project.read() as s:
        return [_line(alert) for alert in alerts.ongoing(s, model=model)]


def newest(project: Project, limit: int) -> list[AlertLine]:
    """Return the newest alerts, ended ones too, newest first."""
    with project.read() as s:
        return [_line(alert) for alert in alerts.newest(s, limit)]


def of_model(project: Project, model: str, *, since: datetime, limit: int) -> list[AlertLine]:
    """Return the alerts about ``model`` that were ongoing at ``since`` or later, newest first."""
    with project.read() as s:
        return [_line(alert) for alert in alerts.since(s, model, since, limit)]


def deliver(project: Project) -> Delivered:
    """Send what is in the outbox; what fails is recorded and sent by a later call.

    Every message arrives at least once, in order for each sink; its ``id`` stays the same. Never
    raises because of a sink, a lock or another process that is delivering.
    """
    try:
        with project.lock("deliver", busy="another process is delivering alerts"):
            return _deliver(project)
    except BusyError:
        return Delivered(0, 0)  # the other process, or the next call, sends them


def test(project: Project) -> list[Outcome]:
    """Send a test message to every sink that is set, and return how each fared."""
    settings = project.settings.alerts
    message = messages.trial(project.root.name, project.now())
    outcomes = {name: sinks.send(name, message, settings) for name in sinks.configured(settings)}
    return [Outcome(name, error is None, error) for name, error in outcomes.items()]


def _deliver(project: Project) -> Delivered:
    with project.read() as s:
        waiting = alerts.undelivered(s, max_attempts=MAX_ATTEMPTS)
    down: set[str] = set()
    sent = 0
    for delivery in waiting:
        if delivery.sink in down:
            continue  # keeps the order, and a sink that is down costs one timeout, not many
        if _send(project, delivery):
            sent += 1
        else:
            down.add(delivery.sink)
    return Delivered(sent, sum(delivery.sink in down for delivery in waiting))


def _send(project: Project, delivery: AlertDelivery) -> bool:
    error = sinks.send(
        delivery.sink, messages.about(delivery, project.root.name), project.settings.alerts
    )
    with project.write() as s:
        at = project.now() if error is None else None
        alerts.record_attempt(s, delivery.id, delivered_at=at, error=error)
    return error is None


def _line(alert: Alert) -> AlertLine:
    missing = [delivery for delivery in alert.deliveries if delivery.delivered_at is None]
    return AlertLine(
        id=alert.id,
        key=alert.key,
        kind=alert.kind,
        severity=alert.severity,
        model=alert.model,
        status="resolved" if alert.resolved_at else "acked" if alert.acked_at else "open",
        summary=alert.summary,
        details=alert.details,
        opened_at=alert.opened_at,
        last_seen_at=alert.last_seen_at,
        times_seen=alert.times_seen,
        acked_at=alert.acked_at,
        acked_by=alert.acked_by,
        resolved_at=alert.resolved_at,
        resolution=alert.resolution,
        undelivered=tuple(
            Undelivered(sink=d.sink, event=d.event, attempts=d.attempts, error=d.error)
            for d in missing
            if d.attempts
        ),
    )
