"""A message as an e-mail: plain text for people, the JSON attached for programs."""

import ipaddress
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import msgspec

from mlkit import printable
from mlkit.flows.alerts.messages import Message
from mlkit.settings.table import Alerts

_SMTPS_PORT: Final = 465
_SUBJECT_CHARS: Final = 200


def send(message: Message, settings: Alerts) -> None:
    """Send the message by SMTP; raises OSError, ValueError, SMTPException."""
    if not settings.mail_to:
        raise ValueError("alerts.mail_to names nobody")
    with _server(settings) as server:
        if settings.smtp_starttls and settings.smtp_port != _SMTPS_PORT:
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
        server.send_message(compose(message, settings))


def compose(message: Message, settings: Alerts) -> EmailMessage:
    """Return the e-mail; its subject is one line."""
    mail = EmailMessage()
    mail["Subject"] = printable.line(f"[mlkit] {message.text}")[:_SUBJECT_CHARS]
    mail["From"] = settings.mail_from or settings.mail_to[0]
    mail["To"] = ", ".join(settings.mail_to)
    mail["Date"] = format_datetime(message.at)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks for no automatic reply
    mail.set_content(in_words(message))
    content = msgspec.json.format(msgspec.json.encode(message), indent=2)
    mail.add_attachment(content, maintype="application", subtype="json", filename="alert.json")
    return mail


def in_words(message: Message) -> str:
    """Return the text of the e-mail: the event, since when, and the next steps."""
    lines = [message.text, ""]
    for alert in message.alerts or (message,):
        if message.alerts:
            lines.append(alert.text)
        started = alert.started_at or alert.at
        ended = f", ended {alert.ended_at:%F %H:%MZ}" if alert.ended_at else ""
        lines.append(f"{alert.severity} in {alert.project}, since {started:%F %H:%MZ}{ended}")
        if alert.next:
            lines += ["What to do next, in the project folder:", *(f"  {c}" for c in alert.next)]
        lines.append("")
    return printable.text("\n".join(lines))


def _server(settings: Alerts) -> smtplib.SMTP:
    """Connect, with TLS on port 465; a password is never sent in plain text to another machine."""
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
