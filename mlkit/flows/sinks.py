"""Where a message about an alert can go: the log, a command, a webhook, a mailbox.

Each sink raises OSError, or one of its library's errors, when a message did not arrive. No secret
is ever part of an error text.
"""

import hmac
import logging
import smtplib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from mlkit.settings import Alerts

log = logging.getLogger("mlkit.alerts")

Message = Mapping[str, Any]
FAILURES: Final = (OSError, subprocess.SubprocessError, HTTPException, smtplib.SMTPException)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead a webhook to an address that nobody configured."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        """Follow nothing."""


def configured(settings: Alerts) -> tuple[str, ...]:
    """Return the names of the sinks that the settings describe; the log is always one."""
    chosen = {
        "log": True,
        "command": bool(settings.command),
        "webhook": bool(settings.webhook_url),
        "mail": bool(settings.smtp_host and settings.mail_to),
    }
    return tuple(name for name, is_on in chosen.items() if is_on)


def send(sink: str, message: Message, settings: Alerts) -> None:
    """Deliver ``message`` by one sink; raises one of ``FAILURES``."""
    _SINKS[sink](message, settings)


def explain(error: Exception) -> str:
    """Return what went wrong in one line without what was sent."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"the command ended with exit code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"the command did not end within {error.timeout:g} s"
    if isinstance(error, urllib.error.HTTPError):
        return f"the webhook answered {error.code}"
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no detail'}"


def _log(message: Message, _settings: Alerts) -> None:
    log.warning("alert %s: %s", message["status"], message["summary"])


def _command(message: Message, settings: Alerts) -> None:
    subprocess.run(  # noqa: S603  # an argv list from the settings file, never a shell
        list(settings.command),
        input=msgspec.json.encode(message),
        timeout=settings.timeout_s,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _webhook(message: Message, settings: Alerts) -> None:
    if urlsplit(settings.webhook_url).scheme not in ("http", "https"):
        raise OSError("alerts.webhook_url is not an http or https URL")
    body = msgspec.json.encode(message)
    headers = {"Content-Type": "application/json"}
    if settings.webhook_secret:
        digest = hmac.digest(settings.webhook_secret.encode(), body, "sha256").hex()
        headers["X-Mlkit-Signature"] = f"sha256={digest}"
    request = urllib.request.Request(settings.webhook_url, data=body, headers=headers)  # noqa: S310  # checked above
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=settings.timeout_s):
        return


def _mail(message: Message, settings: Alerts) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"[mlkit] {message['status']}: {message['summary']}"[:200].replace("\n", " ")
    mail["From"] = settings.mail_from or settings.mail_to[0]
    mail["To"] = ", ".join(settings.mail_to)
    mail.set_content(msgspec.json.format(msgspec.json.encode(message), indent=2).decode())
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=settings.timeout_s) as server:
        if settings.smtp_starttls:
            server.starttls()
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
        server.send_message(mail)


_SINKS: Final[Mapping[str, Callable[[Message, Alerts], None]]] = {
    "log": _log,
    "command": _command,
    "webhook": _webhook,
    "mail": _mail,
}
