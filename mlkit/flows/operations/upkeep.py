"""What falls due: old features, escalations, ended snoozes, messages to send, erasures to finish.

The job ``alerts`` calls this every few minutes.
"""

from datetime import datetime

from mlkit.flows.alerts import delivery, policy, sinks
from mlkit.flows.data.turns import Turns
from mlkit.flows.features import freshness
from mlkit.project import Project
from mlkit.store import alerts, erasures, outbox


def process(project: Project) -> str:
    """Do what is due and return one line about it; what fails keeps nothing else back."""
    turns, now = Turns(), project.now()
    late = turns.take("looking at features", lambda: freshness.watch(project))
    woken = turns.take("ending snoozes", lambda: _wake(project, now))
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
    said = ", ".join([*counts, *erased, *_beat(project)])
    turns.settle(said)
    return said or "nothing to tell"


def _deliver(project: Project, now: datetime) -> delivery.Delivered:
    """Send what is due, and forget what waits for a sink that is set no more."""
    with project.read() as s:
        unset = set(outbox.sinks_waiting(s)) - set(sinks.configured(project.settings.alerts))
    if unset:
        with project.write() as s:
            outbox.drop_all_but(s, sinks.configured(project.settings.alerts), now)
    return delivery.deliver(project)


def _wake(project: Project, now: datetime) -> int:
    """End the snoozes that are over, and remind of each alert."""
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
    """Make the warnings critical that nobody has taken care of for too long."""
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
    """Finish the erasures that somebody stood in the way of."""
    with project.read() as s:
        waiting = erasures.unfinished(s)
    if not waiting:
        return []
    from mlkit.flows.erasure import subject  # a second of imports, and hardly ever needed

    return [subject.resume(project)]


def _beat(project: Project) -> list[str]:
    """Tell the service outside that this machine lives; it is the one to notice a failure."""
    if not project.settings.alerts.heartbeat_url:
        return []
    error = sinks.heartbeat(project.settings.alerts)
    return ["heartbeat sent"] if error is None else [f"heartbeat failed: {error}"]


tend = process  # what the job ``alerts`` of version 0.1 calls; until 0.3
