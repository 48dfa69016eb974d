"""The digest: one message about all ongoing warnings and those ended since the last digest.

A digest is a row of the outbox without an alert; its text is composed when it is sent.
"""

from datetime import datetime

from mlkit.flows.alerts import messages, policy
from mlkit.flows.alerts.messages import Message
from mlkit.project import Project, Session
from mlkit.settings.table import Alerts
from mlkit.store import alerts, outbox
from mlkit.store.alerts import Alert, AlertDelivery, Event


def gathers(chosen: Alerts, severity: str, sink: str) -> bool:
    """Tell whether messages of this severity go into the digest of this sink; the log has none."""
    return chosen.digest != "off" and severity != "critical" and sink != "log"


def expect(s: Session, project: Project, sink: str, *, since: datetime) -> None:
    """Add a digest of the time from ``since`` on to the outbox, unless one is there."""
    chosen = project.settings.alerts
    if chosen.digest != "off":
        at = policy.next_digest(project.now(), chosen)
        outbox.add_digest(s, sink, at=at, since=since)


def compose(project: Project, delivery: AlertDelivery, now: datetime) -> Message | None:
    """Return the message, or None if nothing has changed and all alerts are acknowledged.

    Snoozed alerts are left out.
    """
    since = delivery.created_at or now
    with project.read() as s:
        ended = alerts.ended_since(s, since)
        going = [alert for alert in alerts.ongoing(s) if not _is_snoozed(alert, now)]
    if not ended and all(alert.acked_at and alert.opened_at < since for alert in going):
        return None
    told = [_about(project, alert) for alert in (*going, *ended)]
    return messages.gathered(told, number=delivery.id, project=project.root.name, at=now)


def renew(s: Session, project: Project, sink: str, *, composed_at: datetime) -> None:
    """Schedule the next digest after one composed at ``composed_at``, if there are alerts."""
    if alerts.ongoing(s) or alerts.ended_since(s, composed_at):
        expect(s, project, sink, since=composed_at)


def _about(project: Project, alert: Alert) -> Message:
    event: Event = "firing" if alert.resolved_at is None else "resolved"
    return messages.about(alert, event, number=alert.id, project=project.root.name)


def _is_snoozed(alert: Alert, now: datetime) -> bool:
    return alert.snoozed_until is not None and alert.snoozed_until > now
