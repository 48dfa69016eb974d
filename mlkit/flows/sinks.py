"""Where a message about an alert can go: the log, a command, a webhook, a mailbox.

What is sent, when, and how often it is tried is decided in ``alerting``.
"""

import hmac
import ipaddress
import logging
import os
import re
import signal
import smtplib
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

import msgspec

from mlkit.flows.messages import Message
from mlkit.settings import Alerts

_log = logging.getLogger("mlkit.alerts")
_FAILURES: Final = (
    OSError,
    ValueError,  # a malformed URL or address
    HTTPException,
    smtplib.SMTPException,
    subprocess.SubprocessError,
)
_SMTPS_PORT: Final = 465
_SHOWN: Final = 300
_URL_MARKS: Final = re.compile(r"[/?&=#@:]+")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead a webhook to an address that nobody configured."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        """Follow nothing."""


def configured(settings: Alerts) -> tuple[str, ...]:
    """Return where messages go by these settings: always the log, then what is set."""
    chosen = {
        "command": bool(settings.command),
        "webhook": bool(settings.webhook_url),
        "mail": bool(settings.smtp_host),
    }
    return ("log", *(name for name, is_on in chosen.items() if is_on))


def send(sink: str, message: Message, settings: Alerts) -> str | None:
    """Send ``message`` and return None, or what went wrong in one line without any secret."""
    try:
        _SINKS[sink](message, settings)
    except _FAILURES as error:
        return _plain(_without_secrets(_explain(error), settings))[:_SHOWN]
    return None


def _to_log(message: Message, _settings: Alerts) -> None:
    _log.warning("%s", _plain(message.text))


def _to_command(message: Message, settings: Alerts) -> None:
    """Run the command with the message on its standard input; a group of its own can be killed."""
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
            text = said.read(_SHOWN).decode(errors="replace")
            raise subprocess.SubprocessError(f"the command ended with exit code {code}: {text}")


def _to_webhook(message: Message, settings: Alerts) -> None:
    if urlsplit(settings.webhook_url).scheme not in ("http", "https"):
        raise ValueError("alerts.webhook_url is not an http or https URL")
    body = msgspec.json.encode(message)
    headers = {"Content-Type": "application/json", "User-Agent": "mlkit"}
    if settings.webhook_secret:
        digest = hmac.digest(settings.webhook_secret.encode(), body, "sha256").hex()
        headers["X-Mlkit-Signature"] = f"sha256={digest}"
    request = urllib.request.Request(settings.webhook_url, data=body, headers=headers)  # noqa: S310  # checked above
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=settings.timeout_s):
        return


def _to_mail(message: Message, settings: Alerts) -> None:
    if not settings.mail_to:
        raise ValueError("alerts.mail_to names nobody")
    mail = EmailMessage()
    mail["Subject"] = _plain(f"[mlkit] {message.text}")[:200]
    mail["From"] = settings.mail_from or settings.mail_to[0]
    mail["To"] = ", ".join(settings.mail_to)
    mail.set_content(msgspec.json.format(msgspec.json.encode(message), indent=2).decode())
    with _mail_server(settings) as server:
        if settings.smtp_starttls and settings.smtp_port != _SMTPS_PORT:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
        server.send_message(mail)


def _mail_server(settings: Alerts) -> smtplib.SMTP:
    """Connect, under TLS at the port for it; no password leaves this machine in plain text."""
    host, port, timeout = settings.smtp_host, settings.smtp_port, settings.timeout_s
    if port == _SMTPS_PORT:
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=ssl.create_default_context())
    if settings.smtp_user and not settings.smtp_starttls and not _is_loopback(host):
        raise ValueError(f"no password is sent to {host} in plain text; set alerts.smtp_starttls")
    return smtplib.SMTP(host, port, timeout=timeout)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _explain(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"the command did not end within {error.timeout:g} s"
    if isinstance(error, urllib.error.HTTPError):
        return f"the webhook answered {error.code}" + (
            "; redirects are not followed" if 300 <= error.code < 400 else ""
        )
    if isinstance(error, urllib.error.URLError):
        return f"cannot reach the webhook: {error.reason}"
    return str(error) or type(error).__name__


def _without_secrets(text: str, settings: Alerts) -> str:
    """Return ``text`` without the secrets of the settings; any part of a webhook URL may be one."""
    parts = [part for part in _URL_MARKS.split(settings.webhook_url)[1:] if len(part) > 3]
    secrets = {settings.webhook_url, settings.webhook_secret, settings.smtp_password, *parts}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _plain(text: str) -> str:
    """Return ``text`` on one line without control characters: it may quote a user's data."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


_SINKS: Final[Mapping[str, Callable[[Message, Alerts], None]]] = {
    "log": _to_log,
    "command": _to_command,
    "webhook": _to_webhook,
    "mail": _to_mail,
}
