"""The sinks of messages about alerts: the log, a command, a webhook, e-mail.

What is sent, when, and how often it is retried is decided in ``delivery``.
"""

import hmac
import logging
import os
import re
import signal
import smtplib
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Final

import msgspec

from mlkit import printable
from mlkit.flows.alerts import mail, pinned, webhooks
from mlkit.flows.alerts.messages import Message
from mlkit.settings.table import Alerts

_log = logging.getLogger("mlkit.alerts")
_FAILURES: Final = (
    OSError,
    ValueError,  # a malformed URL or address
    HTTPException,
    smtplib.SMTPException,
    subprocess.SubprocessError,
)
_SHOWN: Final = 300
_URL_MARKS: Final = re.compile(r"[/?&=#@:]+")


def configured(settings: Alerts) -> tuple[str, ...]:
    """Return the sinks that the settings configure: always the log, then the others."""
    chosen = {
        "command": bool(settings.command),
        "webhook": bool(settings.webhook_url),
        "mail": bool(settings.smtp_host),
    }
    return ("log", *(name for name, is_on in chosen.items() if is_on))


def send(sink: str, message: Message, settings: Alerts) -> str | None:
    """Send ``message`` and return None, or the error as one line without any secret."""
    try:
        _SINKS[sink](message, settings)
    except _FAILURES as error:
        return printable.line(_without_secrets(_explain(error), settings).strip())[:_SHOWN]
    return None


def _to_log(message: Message, _settings: Alerts) -> None:
    steps = f" (next: {'; '.join(message.next)})" if message.next else ""
    _log.warning("%s", printable.line(message.text + steps))


def _to_command(message: Message, settings: Alerts) -> None:
    """Run the command with the message on its standard input, in its own group to be killed."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(msgspec.json.encode(message))
        given.seek(0)
        with subprocess.Popen(  # noqa: S603  # an argv list from the settings, never a shell
            settings.command,
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        ) as process:
            try:
                code = process.wait(settings.timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if code:
            said.seek(0)
            text = said.read(_SHOWN).decode(errors="replace").strip()
            why = f": {text}" if text else ""
            raise subprocess.SubprocessError(f"the command ended with exit code {code}{why}")


def _to_webhook(message: Message, settings: Alerts) -> None:
    if not pinned.is_url(settings.webhook_url):
        raise ValueError("alerts.webhook_url is not an http or https URL")
    content = webhooks.encode(message, settings.webhook_format)
    headers = {"Content-Type": "application/json"}
    if settings.webhook_secret:
        digest = hmac.digest(settings.webhook_secret.encode(), content, "sha256").hex()
        headers["X-Mlkit-Signature"] = f"sha256={digest}"
    body = pinned.Body(content, headers)
    pinned.post(settings.webhook_url, body, timeout_s=settings.timeout_s)


def heartbeat(settings: Alerts) -> str | None:
    """Request the heartbeat URL of an external service; return None, or the error."""
    try:
        if not pinned.is_url(settings.heartbeat_url):
            return "alerts.heartbeat_url is not an http or https URL"
        pinned.get(settings.heartbeat_url, timeout_s=settings.timeout_s)
    except _FAILURES as error:
        return printable.line(_without_secrets(str(error), settings).strip())[:_SHOWN]
    return None


def _explain(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"the command did not end within {error.timeout:g} s"
    if isinstance(error, pinned.AnsweredError):
        return f"the webhook {error}"
    if isinstance(error, pinned.UnreachableError):
        return f"cannot reach the webhook: {error}"
    return str(error) or type(error).__name__


def _without_secrets(text: str, settings: Alerts) -> str:
    """Return ``text`` without the secrets of the settings; any part of a URL may be one."""
    urls = (settings.webhook_url, settings.heartbeat_url)
    parts = [part for url in urls for part in _URL_MARKS.split(url)[1:] if len(part) > 3]
    secrets = {*urls, settings.webhook_secret, settings.smtp_password, *parts}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


_SINKS: Final[Mapping[str, Callable[[Message, Alerts], None]]] = {
    "log": _to_log,
    "command": _to_command,
    "webhook": _to_webhook,
    "mail": mail.send,
}
