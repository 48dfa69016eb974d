"""The message about an alert, the same for all sinks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from mlkit import printable
from mlkit.flows.alerts import next_steps
from mlkit.store.alerts import Alert, Event

_HAPPENED: Final = {"firing": "detected"}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON that a sink sends; ``text`` is one line for a log, a chat or the subject of a mail.

    ``id`` is the same when a message is sent again, ``dedupe_key`` for all messages about the same
    problem, also when it comes back. ``next`` are the commands that help. A digest has ``alerts``.
    """

    event: str
    id: str
    dedupe_key: str | None = None
    status: str
    severity: str = "info"
    model: str | None = None
    version: int | None = None
    project: str
    at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    escalated: bool = False
    summary: str
    details: dict[str, Any] = {}
    text: str
    next: tuple[str, ...] = ()
    alerts: "tuple[Message, ...]" = ()


def about(alert: Alert, event: Event, *, number: int, project: str) -> Message:
    """Return message ``number`` of the outbox, about an event of the alert."""
    ended = event == "resolved"
    times = {"resolved": alert.resolved_at, "escalated": alert.escalated_at}
    summary = f"{alert.key} ended: {alert.resolution}" if ended else alert.summary
    return Message(
        event=f"{alert.kind}.{_HAPPENED.get(event, event)}",
        id=str(number),
        dedupe_key=alert.key,
        status="resolved" if ended else "firing",
        severity=alert.severity,
        model=alert.model,
        version=alert.details.get("version"),
        project=project,
        at=times.get(event) or alert.opened_at,
        started_at=alert.opened_at,
        ended_at=alert.resolved_at if ended else None,
        escalated=alert.escalated_at is not None,
        summary=summary,
        details=alert.details,
        text=printable.line(f"{event}: {summary}"),  # may quote a user's data
        next=() if ended else tuple(map(printable.line, next_steps.of(alert))),
    )


def gathered(alerts: Sequence[Message], *, number: int, project: str, at: datetime) -> Message:
    """Return message ``number`` of the outbox: a digest with a message about each alert."""
    firing = sum(message.status == "firing" for message in alerts)
    summary = f"{firing} ongoing, {len(alerts) - firing} ended in {project}"
    return Message(
        event="digest",
        id=str(number),
        status="firing" if firing else "resolved",
        severity="warning",
        project=project,
        at=at,
        summary=summary,
        text=f"digest: {summary}",
        next=("mlkit alert list",),
        alerts=tuple(alerts),
    )


def trial(project: str, at: datetime) -> Message:
    """Return the message that ``mlkit alert test`` sends."""
    summary = f"a test message from {project}; nothing is wrong"
    return Message(
        event="test", id="test", status="test", project=project, at=at, summary=summary,
        text=f"test: {summary}", next=("mlkit alert list",),
    )  # fmt: skip
