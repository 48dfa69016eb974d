"""Delivery of messages by an outbox: written in the transaction of the alert, sent afterwards.

A message is claimed by a compare-and-set, sent, and marked as sent. If the process dies in between,
another one sends it again after the lease: delivery is at least once.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from mlkit.errors import BusyError
from mlkit.flows.alerts import digest, messages, policy, sinks
from mlkit.flows.alerts.messages import Message
from mlkit.flows.alerts.policy import Queued
from mlkit.project import Project, Session
from mlkit.store import outbox
from mlkit.store.alerts import Alert, AlertDelivery, Event
from mlkit.store.disk import failpoints


class Delivered(msgspec.Struct, frozen=True):
    """The numbers of messages sent, and of those that failed and will be retried."""

    sent: int
    failed: int


def announce(
    s: Session, project: Project, alert: Alert, event: Event, *, to: Iterable[str] | None = None
) -> None:
    """Add a message about the alert to the outbox of every sink, or of those in ``to``."""
    chosen, now = project.settings.alerts, project.now()
    at = policy.told_at(now, alert.severity, chosen, ended=event == "resolved")
    for sink in sinks.configured(chosen) if to is None else to:
        if digest.gathers(chosen, alert.severity, sink):
            digest.expect(s, project, sink, since=now)
        else:
            outbox.add(s, alert.id, event, (sink,), at=at, now=now)


def deliver(project: Project) -> Delivered:
    """Send the messages that are due, to all sinks in parallel; a later call retries failed ones.

    Delivery is at least once, with the same ``id``. Never raises because of a sink, a lock or
    another process that is delivering.
    """
    try:
        with project.read() as s:
            waiting = outbox.sinks_waiting(s)
        if len(waiting) < 2:  # the usual case: none, or only the log
            done = [_deliver_to(project, sink) for sink in waiting]
        else:
            with ThreadPoolExecutor(len(waiting)) as pool:
                done = list(pool.map(lambda sink: _deliver_to(project, sink), waiting))
    except BusyError:
        return Delivered(0, 0)  # a later call sends them
    return Delivered(sum(one.sent for one in done), sum(one.failed for one in done))


def _deliver_to(project: Project, sink: str) -> Delivered:
    """Send the messages that are due to one sink, in order, until one fails."""
    sent = 0
    while (delivery := _claim(project, sink)) is not None:
        failpoints.reach("alert.claimed")
        now = project.now()
        message = _compose(project, delivery)
        error = sinks.send(sink, message, project.settings.alerts) if message else None
        failpoints.reach("alert.sent")
        with project.write() as s:
            if message is None:
                outbox.drop(s, delivery.id, now)
            else:
                at = None if error else project.now()
                outbox.settle(s, delivery.id, delivered_at=at, error=error)
            if delivery.event == "digest" and error is None:
                digest.renew(s, project, sink, composed_at=now)
            if message and error is None and not sent:  # the sink works: retry what failed
                outbox.retry_now(s, sink, now)
        if error:
            return Delivered(sent, _due(project, sink))
        sent += message is not None
    return Delivered(sent, 0)


def _claim(project: Project, sink: str) -> AlertDelivery | None:
    """Claim the next message of the sink, None if none is due or free."""
    patience = project.settings.alerts.timeout_s
    while True:
        now = project.now()
        with project.read() as s:
            waiting = {delivery.id: delivery for delivery in outbox.waiting(s, sink)}
        chosen = policy.next_to_send([_queued(each) for each in waiting.values()], now)
        if chosen is None:
            return None
        until = now + policy.retry_after(chosen.attempts + 1, patience)
        with project.write() as s:
            if outbox.claim(s, chosen.id, attempts=chosen.attempts, until=until):
                return waiting[chosen.id]


def _compose(project: Project, delivery: AlertDelivery) -> Message | None:
    if delivery.alert is None:
        return digest.compose(project, delivery, project.now())
    event: Event = delivery.event  # type: ignore[assignment]  # the column holds nothing else
    return messages.about(delivery.alert, event, number=delivery.id, project=project.root.name)


def _due(project: Project, sink: str) -> int:
    """Return the number of messages of the sink that are due or have failed."""
    now = project.now()
    with project.read() as s:
        return sum(
            bool(each.attempts) or each.next_attempt_at is None or each.next_attempt_at <= now
            for each in outbox.waiting(s, sink)
        )


def _queued(delivery: AlertDelivery) -> Queued:
    return Queued(
        id=delivery.id,
        alert=delivery.alert_id,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        snoozed_until=delivery.alert.snoozed_until if delivery.alert else None,
    )
