"""One message for many warnings: what goes on, and what has ended since the last one.

A digest is a row of the outbox without an alert; what it says is put together when it is sent.
"""

from datetime import datetime

from mlkit.flows.alerts import messages, policy
from mlkit.flows.alerts.messages import Message
from mlkit.project import Project, Session
from mlkit.settings.table import Alerts
from mlkit.store import alerts, outbox
from mlkit.store.alerts import Alert, AlertDelivery, Event


def gathers(chosen: Alerts, severity: str, sink: str) -> bool:
    """Tell whether messages of this severity to this sink wait for a digest; the log never does."""
    return chosen.digest != "off" and severity != "critical" and sink != "log"


def expect(s: Session, project: Project, sink: str, *, since: datetime) -> None:
    """See to it that a digest of what happens from ``since`` on is on its way."""
    chosen = project.settings.alerts
    if chosen.digest != "off":
        at = policy.next_digest(project.now(), chosen)
        outbox.add_digest(s, sink, at=at, since=since)


def compose(project: Project, delivery: AlertDelivery, now: datetime) -> Message | None:
    """Return the message, or None if there is nothing to tell: no news, and nobody is waited for.

    What is snoozed is left out.
    """
    since = delivery.created_at or now
    with project.read() as s:
        ended = alerts.ended_since(s, since)
        going = [alert for alert in alerts.ongoing(s) if not _sleeps(alert, now)]
    if not ended and all(alert.acked_at and alert.opened_at < since for alert in going):
        return None
    told = [_about(project, alert) for alert in (*going, *ended)]
    return messages.gathered(told, number=delivery.id, project=project.root.name, at=now)


def renew(s: Session, project: Project, sink: str, *, composed_at: datetime) -> None:
    """After a digest of the state at ``composed_at``: expect the next one if there is a need."""
    if alerts.ongoing(s) or alerts.ended_since(s, composed_at):
        expect(s, project, sink, since=composed_at)


def _about(project: Project, alert: Alert) -> Message:
    event: Event = "firing" if alert.resolved_at is None else "resolved"
    return messages.about(alert, event, number=alert.id, project=project.root.name)


def _sleeps(alert: Alert, now: datetime) -> bool:
    return alert.snoozed_until is not None and alert.snoozed_until > now
