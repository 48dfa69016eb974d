"""Open, resolve, acknowledge, snooze and list alerts: one per problem for as long as it lasts.

There is one message when it opens and one when it ends. Messages are written in the transaction of
the alert and sent afterwards (``delivery``). Escalation is scheduled in ``operations.upkeep``.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from mlkit.errors import ConflictError
from mlkit.flows.alerts import delivery, messages, next_steps, policy, sinks
from mlkit.flows.alerts.delivery import Delivered, deliver
from mlkit.project import Project, Session
from mlkit.settings import table as settings_module
from mlkit.store import alerts, audit, outbox
from mlkit.store.alerts import Alert, Severity

__all__ = ("Delivered", "deliver")  # for callers, beside what is defined below


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has not reached its sink; it is tried again at ``next_attempt_at``."""

    sink: str
    event: str
    attempts: int
    error: str | None
    next_attempt_at: datetime | None


class AlertLine(msgspec.Struct, frozen=True, kw_only=True):
    """One alert in a list."""

    id: int
    key: str
    kind: str
    severity: str
    model: str | None
    status: Literal["open", "acked", "snoozed", "resolved"]
    summary: str
    details: dict[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    acked_at: datetime | None
    acked_by: str | None
    resolved_at: datetime | None
    resolution: str | None
    snoozed_until: datetime | None
    snoozed_by: str | None
    escalated_at: datetime | None
    flaps: int
    next: tuple[str, ...]
    undelivered: tuple[Undelivered, ...]


class Outcome(msgspec.Struct, frozen=True):
    """The result of sending a test message to one sink."""

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
        return open_in(s, project, new)


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


def open_in(s: Session, project: Project, new: Alert) -> bool:
    """Open or update an alert in the caller's transaction; tell whether it is a new one.

    An alert that ended less than ``alerts.cool_down`` ago is reopened, without a second message. A
    warning that becomes critical is announced; the severity never falls.
    """
    ended = None
    if not alerts.update_ongoing(s, new):
        ended = _reopen(s, project, new)
        if ended is None:
            new.unattended_since = new.opened_at
            if alerts.add(s, new):
                delivery.announce(s, project, new, "firing")
                return True
            alerts.update_ongoing(s, new)
    worse = new.severity == "critical" and alerts.worsen(s, new.key, new.last_seen_at)
    if worse or ended is not None:
        for alert in alerts.ongoing(s, key=new.key):
            s.refresh(alert)
            _announce_changes(s, project, alert, ended=ended, worse=worse)
    return False


def resolve_in(s: Session, project: Project, alert: Alert, reason: str) -> bool:
    """End an alert in the caller's transaction; tell whether it was ongoing."""
    ended = alerts.resolve(s, alert, reason, project.now())
    if ended:
        delivery.announce(s, project, alert, "resolved")
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
        return _line(alert, now)


def snooze(project: Project, alert_id: int, length: str) -> AlertLine:
    """Send no message about the alert for a time; raises NotFoundError, ConflictError."""
    now = project.now()
    until = now + settings_module.duration(length)
    with project.write() as s:
        alert = alerts.get(s, alert_id)
        if not alerts.snooze(s, alert, project.actor, until):
            raise ConflictError(f"alert {alert_id} ({alert.key}) has ended: {alert.resolution}")
        audit.record(
            s, now, actor=project.actor, action="snooze", subject=alert.key,
            details={"alert": alert_id, "until": until.isoformat()},
        )  # fmt: skip
        s.refresh(alert)
        return _line(alert, now)


def ongoing(project: Project, *, model: str | None = None) -> list[AlertLine]:
    """Return the alerts that have not ended, oldest first."""
    now = project.now()
    with project.read() as s:
        return [_line(alert, now) for alert in alerts.ongoing(s, model=model)]


def unattended(project: Project) -> list[AlertLine]:
    """Return the ongoing alerts that nobody has acknowledged or snoozed, oldest first."""
    return [line for line in ongoing(project) if line.status == "open"]


def newest(project: Project, limit: int) -> list[AlertLine]:
    """Return the newest alerts, ended ones too, newest first."""
    now = project.now()
    with project.read() as s:
        return [_line(alert, now) for alert in alerts.newest(s, limit)]


def of_model(project: Project, model: str, *, since: datetime, limit: int) -> list[AlertLine]:
    """Return the alerts about ``model`` that were ongoing at ``since`` or later, newest first."""
    now = project.now()
    with project.read() as s:
        return [_line(alert, now) for alert in alerts.since(s, model, since, limit)]


def test(project: Project) -> list[Outcome]:
    """Send a test message to every configured sink and return the results.

    Messages that failed earlier are retried at once on sinks that work.
    """
    settings = project.settings.alerts
    message = messages.trial(project.root.name, project.now())
    outcomes = {name: sinks.send(name, message, settings) for name in sinks.configured(settings)}
    with project.write() as s:
        for name, error in outcomes.items():
            if error is None:
                outbox.retry_now(s, name, project.now())
    deliver(project)
    if settings.heartbeat_url:
        outcomes["heartbeat"] = sinks.heartbeat(settings)
    return [Outcome(name, error is None, error) for name, error in outcomes.items()]


def _reopen(s: Session, project: Project, new: Alert) -> datetime | None:
    """Reopen the last alert of this key if it ended within the cool-down; return when it ended."""
    cool_down = policy.length(project.settings.alerts.cool_down)
    if cool_down is None:
        return None
    return alerts.reopen(s, new, ended_after=new.last_seen_at - cool_down)


def _announce_changes(
    s: Session, project: Project, alert: Alert, *, ended: datetime | None, worse: bool
) -> None:
    """Announce that an alert goes on, to sinks that were told of its end, or became critical."""
    if ended is not None:
        told = outbox.recall(s, alert.id, ended, project.now())
        delivery.announce(s, project, alert, "firing", to=told)
    if worse:
        outbox.hasten(s, alert.id, project.now())
        delivery.announce(s, project, alert, "escalated")


def _line(alert: Alert, now: datetime) -> AlertLine:
    return AlertLine(
        id=alert.id,
        key=alert.key,
        kind=alert.kind,
        severity=alert.severity,
        model=alert.model,
        status=_status(alert, now),
        summary=alert.summary,
        details=alert.details,
        opened_at=alert.opened_at,
        last_seen_at=alert.last_seen_at,
        times_seen=alert.times_seen,
        acked_at=alert.acked_at,
        acked_by=alert.acked_by,
        resolved_at=alert.resolved_at,
        resolution=alert.resolution,
        snoozed_until=alert.snoozed_until,
        snoozed_by=alert.snoozed_by,
        escalated_at=alert.escalated_at,
        flaps=alert.flaps,
        next=next_steps.of(alert),
        undelivered=tuple(
            Undelivered(
                sink=d.sink, event=d.event, attempts=d.attempts, error=d.error,
                next_attempt_at=d.next_attempt_at,
            )
            for d in alert.deliveries
            if d.attempts and d.delivered_at is None and d.dropped_at is None
        ),
    )  # fmt: skip


def _status(alert: Alert, now: datetime) -> Literal["open", "acked", "snoozed", "resolved"]:
    if alert.resolved_at is not None:
        return "resolved"
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return "snoozed"
    return "acked" if alert.acked_at is not None else "open"
