"""Scheduled maintenance: stale features, escalations, snoozes, notifications, erasures.

The job ``alerts`` calls this every few minutes.
"""

from datetime import datetime

from mlkit.flows.alerts import delivery, policy, sinks
from mlkit.flows.data.turns import Turns
from mlkit.flows.features import freshness
from mlkit.project import Project
from mlkit.store import alerts, erasures, outbox


def process(project: Project) -> str:
    """Do all that is due and return a one-line summary; a failure does not stop the other steps."""
    turns, now = Turns(), project.now()
    late = turns.take("looking at features", lambda: freshness.watch(project))
    woken = turns.take("ending snoozes", lambda: _end_snoozes(project, now))
    escalated = turns.take("escalating", lambda: _escalate(project, now))
    delivered = turns.take("sending", lambda: _deliver(project, now))
    done = (
        (delivered.sent if delivered else 0, "messages sent"),
        (
            delivered.failed if delivered else 0,
            "messages not delivered yet (see: mlkit alert list)",
        ),
        (escalated, "alerts escalated"),
        (woken, "snoozes ended"),
        (late, "feature views in trouble"),
    )
    erased = turns.take("finishing erasures", lambda: _erase(project)) or []
    counts = [f"{count} {what}" for count, what in done if count]
    said = ", ".join([*counts, *erased, *_heartbeat(project)])
    turns.settle(said)
    return said or "nothing to tell"


def _deliver(project: Project, now: datetime) -> delivery.Delivered:
    """Send due messages, and drop those for a sink that is no longer configured."""
    with project.read() as s:
        unset = set(outbox.sinks_waiting(s)) - set(sinks.configured(project.settings.alerts))
    if unset:
        with project.write() as s:
            outbox.drop_all_but(s, sinks.configured(project.settings.alerts), now)
    return delivery.deliver(project)


def _end_snoozes(project: Project, now: datetime) -> int:
    """End expired snoozes, and send a reminder of each alert."""
    with project.read() as s:
        found = alerts.snooze_ended(s, now)
    woken = 0
    for alert in found:
        with project.write() as s:
            if alerts.wake(s, alert.id, now):
                delivery.announce(s, project, alert, "reminder")
                woken += 1
    return woken


def _escalate(project: Project, now: datetime) -> int:
    """Escalate warnings that have been unacknowledged for too long to critical."""
    patience = policy.length(project.settings.alerts.escalate_after)
    if patience is None:
        return 0
    with project.read() as s:
        found = alerts.unattended(s, now - patience, now)
    escalated = 0
    for alert in found:
        with project.write() as s:
            if alerts.escalate(s, alert.id, now):
                current = alerts.get(s, alert.id)
                outbox.hasten(s, current.id, now)
                delivery.announce(s, project, current, "escalated")
                escalated += 1
    return escalated


def _erase(project: Project) -> list[str]:
    """Complete the erasures that another process had blocked."""
    with project.read() as s:
        waiting = erasures.unfinished(s)
    if not waiting:
        return []
    from mlkit.flows.erasure import subject  # imports take a second, and are rarely needed

    return [subject.resume(project)]


def _heartbeat(project: Project) -> list[str]:
    """Send a heartbeat to an external service, which notices if this machine fails."""
    if not project.settings.alerts.heartbeat_url:
        return []
    error = sinks.heartbeat(project.settings.alerts)
    return ["heartbeat sent"] if error is None else [f"heartbeat failed: {error}"]


tend = process  # called by the job ``alerts`` of version 0.1; until 0.3
