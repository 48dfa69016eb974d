"""The JSON of a message for its receiver: mlkit's own, Slack's, or Alertmanager's.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from mlkit import printable
from mlkit.flows.alerts.messages import Message

_BLOCK_CHARS: Final = 2_900  # Slack takes 3000 in a block
_BLOCKS: Final = 50
_ICONS: Final = {"resolved": ":white_check_mark:", "test": ":wave:"}
_FAR_AWAY: Final = timedelta(days=365)  # without endsAt, Alertmanager ends an alert in minutes


def encode(message: Message, shape: str) -> bytes:
    """Return the body of the request."""
    return msgspec.json.encode(_SHAPES[shape](message))


def slack(message: Message) -> dict[str, Any]:
    """Return a Slack message: a line for notifications, and a block for each alert."""
    told = message.alerts or (message,)
    blocks = [_section(_in_words(each)) for each in told[: _BLOCKS - 1]]
    if message.alerts:
        blocks.insert(0, _section(f"*{_escaped(message.text)}*"))
    return {"text": _escaped(message.text), "blocks": blocks[:_BLOCKS]}


def alertmanager(message: Message) -> list[dict[str, Any]]:
    """Return a list of alerts for the API of Alertmanager, version 2.

    Alertmanager identifies an alert by its labels, the severity included. So one that has escalated
    is a new alert there, and the warning is ended beside it.
    """
    return [each for one in message.alerts or (message,) for each in _labelled(one)]


def _labelled(message: Message) -> Iterator[dict[str, Any]]:
    ended = message.status != "firing"
    yield _alert(message, message.severity, ended=ended)
    if message.escalated:
        yield _alert(message, "warning", ended=True)


def _alert(message: Message, severity: str, *, ended: bool) -> dict[str, Any]:
    started = message.started_at or message.at
    labels = {
        "alertname": f"mlkit_{message.event.partition('.')[0]}",
        "key": message.dedupe_key or message.event,
        "project": message.project,
        "severity": severity,
        **({"model": message.model} if message.model else {}),
    }
    return {
        "labels": labels,
        "annotations": {
            "summary": printable.line(message.summary),
            "next": "; ".join(message.next),
        },
        "startsAt": started,
        "endsAt": (message.ended_at or message.at) if ended else message.at + _FAR_AWAY,
    }


def _in_words(message: Message) -> str:
    icon = _ICONS.get(message.status) or (
        ":rotating_light:" if message.severity == "critical" else ":warning:"
    )
    about = (
        f"{message.project}, {message.severity}, since {message.started_at or message.at:%F %H:%MZ}"
    )
    commands = "".join(f"\n`{_escaped(command)}`" for command in message.next)
    return f"{icon} *{_escaped(message.text)}*\n{_escaped(about)}{commands}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_BLOCK_CHARS]}}


def _escaped(text: str) -> str:
    """Return ``text`` with links and mentions of Slack escaped: it may quote a user's data.

    >>> _escaped("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_SHAPES: Final[Mapping[str, Callable[[Message], Any]]] = {
    "mlkit": lambda message: message,
    "slack": slack,
    "alertmanager": alertmanager,
}
