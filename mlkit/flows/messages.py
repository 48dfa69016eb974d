"""The one shape of what people and programs are told about an alert."""

from datetime import datetime
from typing import Any

import msgspec

from mlkit.store.alerts import AlertDelivery


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink sends as JSON; ``text`` is the line that a log, a chat or a mail subject shows.

    ``id`` stays the same when a message is sent again, ``dedupe_key`` for as long as its matter
    lasts and when it comes back.
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
    summary: str
    details: dict[str, Any] = {}
    text: str


def about(delivery: AlertDelivery, project: str) -> Message:
    """Return the message that a row of the outbox stands for."""
    alert = delivery.alert
    ended = delivery.event == "resolved"
    summary = f"{alert.key} ended: {alert.resolution}" if ended else alert.summary
    return Message(
        event=f"{alert.kind}.{'resolved' if ended else 'detected'}",
        id=str(delivery.id),
        dedupe_key=alert.key,
        status=delivery.event,
        severity=alert.severity,
        model=alert.model,
        version=alert.details.get("version"),
        project=project,
        at=(alert.resolved_at if ended else None) or alert.opened_at,
        summary=summary,
        details=alert.details,
        text=f"{delivery.event}: {summary}",
    )


def trial(project: str, at: datetime) -> Message:
    """Return the message that ``mlkit alert test`` sends."""
    summary = f"a test message from {project}; nothing is wrong"
    return Message(
        event="test", id="test", status="test", project=project, at=at, summary=summary,
        text=f"test: {summary}",
    )  # fmt: skip
