"""One alert per matter, and its messages to real sinks: a process, an HTTP and a mail server."""

import hmac
import json
import logging
import shutil
import ssl
import subprocess
import sys
import threading
import time
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from mlkit import printable
from mlkit.errors import ConflictError, NotFoundError
from mlkit.flows.alerts import alerting
from mlkit.flows.alerts.alerting import Delivered
from mlkit.flows.alerts.messages import trial
from mlkit.project import Project
from mlkit.settings.table import Alerts
from mlkit.store import audit
from mlkit.store.alerts import Alert, AlertDelivery

ALERT: dict[str, Any] = {
    "kind": "drift", "severity": "warning", "model": "churn", "summary": "age moved",
    "details": {"version": 7},
}  # fmt: skip


def with_alerts(project: Project, **settings: Any) -> Project:
    """Return the project with other settings of its alerts; ends are told at once unless said."""
    chosen = Alerts(**{"cool_down": "off", **settings})
    changed = msgspec.structs.replace(project.settings, alerts=chosen)
    return Project(project.root, changed, project.database, project.clock_file)


def deliveries(project: Project) -> list[AlertDelivery]:
    with project.read() as s:
        return list(s.scalars(select(AlertDelivery).order_by(AlertDelivery.id)))


# --- one row per matter


def test_a_matter_that_goes_on_is_one_alert_and_one_message(project: Project) -> None:
    assert alerting.raise_alert(project, key="drift:churn", **ALERT)
    again = {**ALERT, "summary": "age moved further", "severity": "critical"}
    assert not alerting.raise_alert(project, key="drift:churn", **again)
    (line,) = alerting.ongoing(project)
    assert (line.times_seen, line.summary, line.severity, line.status) == (
        2, "age moved further", "critical", "open",
    )  # fmt: skip
    assert [(d.sink, d.event) for d in deliveries(project)] == [
        ("log", "firing"), ("log", "escalated"),
    ]  # fmt: skip
    assert not alerting.raise_alert(project, key="drift:churn", **ALERT)
    assert alerting.ongoing(project)[0].severity == "critical"  # it never falls
    assert len(deliveries(project)) == 2


def test_a_matter_that_comes_back_is_a_new_alert(project: Project) -> None:
    project = with_alerts(project)
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    assert alerting.resolve(project, "drift:churn", "gone")
    assert not alerting.resolve(project, "drift:churn", "gone again")
    assert alerting.raise_alert(project, key="drift:churn", **ALERT)
    newest, oldest = alerting.newest(project, 10)
    assert (oldest.status, oldest.resolution) == ("resolved", "gone")
    assert (newest.status, newest.resolution) == ("open", None)
    assert [d.event for d in deliveries(project)] == ["firing", "resolved", "firing"]


def test_different_matters_are_different_alerts(project: Project) -> None:
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    alerting.raise_alert(project, key="drift:spend", **{**ALERT, "model": "spend"})
    alerting.raise_alert(project, key="job:drift", **{**ALERT, "kind": "job", "model": None})
    assert alerting.resolve_model(project, "churn", ("drift", "performance"), "v8") == 1
    assert [line.key for line in alerting.ongoing(project)] == ["drift:spend", "job:drift"]
    assert [line.key for line in alerting.ongoing(project, model="spend")] == ["drift:spend"]


def test_many_processes_that_see_the_same_matter_open_it_once(project: Project) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def report(_: int) -> bool:
        return alerting.raise_alert(project, key="drift:churn", **ALERT)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(report, range(16))) == 1
    assert [line.times_seen for line in alerting.ongoing(project)] == [16]
    assert len(deliveries(project)) == 1


def test_an_acknowledgement_says_who_and_stays_on_record(project: Project) -> None:
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    line = alerting.ack(project, 1)
    assert (line.status, line.acked_by) == ("acked", project.actor)
    assert line.acked_at is not None
    assert alerting.ack(project, 1).acked_at == line.acked_at  # the first one stands
    with project.read() as s:
        (event,) = s.scalars(select(audit.AuditEvent)).all()
    assert (event.action, event.subject) == ("ack", "drift:churn")


def test_only_an_ongoing_alert_can_be_acknowledged(project: Project) -> None:
    with pytest.raises(NotFoundError, match="no alert has the number 9"):
        alerting.ack(project, 9)
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    alerting.resolve(project, "drift:churn", "the drift is gone")
    with pytest.raises(ConflictError, match=r"alert 1 .* has ended: the drift is gone"):
        alerting.ack(project, 1)


# --- sinks


def test_the_log_gets_every_alert(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    assert alerting.deliver(project) == Delivered(1, 0)
    assert alerting.deliver(project) == Delivered(0, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "firing: age moved (next: mlkit drift check churn --explain; mlkit perf check churn; "
        "mlkit alert ack 1)"
    ]


def test_the_webhook_gets_a_signed_body(project: Project, hook: Any) -> None:
    project = with_alerts(project, webhook_url=hook.url, webhook_secret="k3y")
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    assert alerting.deliver(project) == Delivered(2, 0)
    alerting.resolve(project, "drift:churn", "v8 took over")
    assert alerting.deliver(project) == Delivered(2, 0)
    first, second = (json.loads(body) for body in hook.bodies)
    assert first == {
        "event": "drift.detected", "id": "2", "dedupe_key": "drift:churn", "status": "firing",
        "severity": "warning", "model": "churn", "version": 7, "project": project.root.name,
        "at": first["at"], "summary": "age moved", "details": {"version": 7},
        "text": "firing: age moved", "started_at": first["at"], "ended_at": None,
        "escalated": False, "alerts": [],
        "next": ["mlkit drift check churn --explain", "mlkit perf check churn",
                 "mlkit alert ack 1"],
    }  # fmt: skip
    assert first["at"].endswith("Z")
    assert (second["event"], second["status"]) == ("drift.resolved", "resolved")
    assert second["summary"] == "drift:churn ended: v8 took over"
    assert second["next"] == []
    digest = hmac.digest(b"k3y", hook.bodies[0], "sha256").hex()
    assert hook.headers[0]["X-Mlkit-Signature"] == f"sha256={digest}"
    assert hook.headers[0]["Content-Type"] == "application/json"


def test_a_redirect_is_a_failure_and_not_followed(project: Project, hook: Any) -> None:
    project = with_alerts(project, webhook_url=hook.url)
    hook.answers = [302]
    log, webhook = alerting.test(project)
    assert (log.delivered, webhook.delivered) == (True, False)
    assert webhook.error == "the webhook answered 302; redirects are not followed"
    assert hook.paths == ["/hooks/s3cret-path"]


def test_the_command_gets_the_alert_on_its_standard_input(project: Project, tmp_path: Path) -> None:
    target = tmp_path / "got; $(touch hacked).json"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    project = with_alerts(project, command=(sys.executable, "-c", code, str(target)))
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    assert alerting.deliver(project) == Delivered(2, 0)
    assert json.loads(target.read_text())["summary"] == "age moved"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (("/nonexistent/notify",), "[Errno 2] No such file or directory: '/nonexistent/notify'"),
        (("sh", "-c", "echo no such room >&2; exit 7"),
         "the command ended with exit code 7: no such room"),
    ],
)  # fmt: skip
def test_a_command_that_fails_is_reported(
    project: Project, command: tuple[str, ...], error: str
) -> None:
    outcome = alerting.test(with_alerts(project, command=command))[1]
    assert (outcome.sink, outcome.delivered, outcome.error) == ("command", False, error)


def test_a_command_that_hangs_is_killed_with_its_children(project: Project, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid_file}; wait"
    project = with_alerts(project, command=("sh", "-c", script), timeout_s=0.3)
    outcome = alerting.test(project)[1]
    assert outcome.error == "the command did not end within 0.3 s"
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 5
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_mail_reaches_every_recipient(project: Project, mailbox: Any) -> None:
    project = with_alerts(
        project, smtp_host="127.0.0.1", smtp_port=mailbox.port, smtp_starttls=False,
        smtp_user="warden", smtp_password="hunter2", mail_from="mlkit@example.org",
        mail_to=("a@example.org", "b@example.org"),
    )  # fmt: skip
    summary = "Größe moved\r\nBcc: evil@example.org"
    alerting.raise_alert(project, key="drift:churn", **{**ALERT, "summary": summary})
    assert alerting.deliver(project) == Delivered(2, 0)
    letter = message_from_bytes(mailbox.letters[0])
    assert letter["Bcc"] is None
    assert (letter["From"], letter["To"]) == ("mlkit@example.org", "a@example.org, b@example.org")
    words, attached = (part.get_payload(decode=True) for part in list(letter.walk())[1:])
    assert isinstance(words, bytes)
    assert isinstance(attached, bytes)
    assert "What to do next, in the project folder:" in words.decode()
    assert "  mlkit drift check churn --explain" in words.decode().splitlines()
    assert json.loads(attached)["summary"] == summary
    assert [c for c in mailbox.commands if c.startswith("rcpt")] == [
        "rcpt TO:<a@example.org>", "rcpt TO:<b@example.org>",
    ]  # fmt: skip


def test_mail_is_not_sent_where_encryption_was_asked_for_and_not_offered(
    project: Project, mailbox: Any
) -> None:
    project = with_alerts(
        project, smtp_host="127.0.0.1", smtp_port=mailbox.port, mail_to=("a@example.org",)
    )
    outcome = alerting.test(project)[1]
    assert outcome.error == "STARTTLS extension not supported by server."
    assert mailbox.letters == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_mail_is_not_sent_to_a_server_whose_certificate_nobody_vouches_for(
    project: Project, mailbox: Any, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    mailbox.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    mailbox.tls.load_cert_chain(certificate, key)
    project = with_alerts(
        project, smtp_host="localhost", smtp_port=mailbox.port, smtp_user="warden",
        smtp_password="hunter2", mail_to=("a@example.org",),
    )  # fmt: skip
    outcome = alerting.test(project)[1]
    assert outcome.error is not None
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.error
    assert not [command for command in mailbox.commands if command.startswith("AUTH")]


def test_no_password_crosses_a_network_in_plain_text(project: Project) -> None:
    project = with_alerts(
        project, smtp_host="mail.example.org", smtp_starttls=False, smtp_user="warden",
        smtp_password="hunter2", mail_to=("a@example.org",),
    )  # fmt: skip
    outcome = alerting.test(project)[1]
    assert outcome.error is not None
    assert outcome.error.startswith("no password is sent to mail.example.org in plain text")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"webhook_url": "file:///etc/passwd"}, "alerts.webhook_url is not an http or https URL"),
        ({"webhook_url": "http://127.0.0.1:9/x"}, "cannot reach the webhook: "),
        ({"webhook_url": "http://[bad"}, "Invalid IPv6 URL"),
        ({"smtp_host": "127.0.0.1", "smtp_port": 9}, "alerts.mail_to names nobody"),
        ({"smtp_host": "127.0.0.1", "smtp_port": 9, "mail_to": ("a@b.c",)}, "[Errno 111] "),
    ],
)
def test_a_wrong_setting_is_an_outcome_and_no_crash(
    project: Project, settings: dict[str, Any], error: str
) -> None:
    outcome = alerting.test(with_alerts(project, **settings))[1]
    assert outcome.error is not None
    assert outcome.error.startswith(error)


def test_no_secret_is_in_any_error_or_log(
    project: Project, mailbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    project = with_alerts(
        project, webhook_url="http://usr1:pw4ss@127.0.0.1:no/s3cret-path?token=t0ken",
        webhook_secret="k3y", smtp_host="127.0.0.1", smtp_port=mailbox.port, smtp_starttls=False,
        smtp_user="warden", smtp_password="hunter3", mail_to=("a@example.org",),
        command=("sh", "-c", "echo the key is k3y >&2; exit 1"),
    )  # fmt: skip
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    assert alerting.deliver(project) == Delivered(1, 3)
    said = [outcome.error or "" for outcome in alerting.test(project)]
    said += [delivery.error or "" for delivery in deliveries(project)] + [caplog.text]
    for secret in ("s3cret-path", "t0ken", "k3y", "hunter3", "pw4ss"):
        assert not [text for text in said if secret in text]
    assert any("535" in text for text in said)


def test_a_slow_receiver_does_not_hold_the_database(project: Project, tmp_path: Path) -> None:
    project = with_alerts(project, command=("sleep", "0.5"))
    alerting.raise_alert(project, key="drift:churn", **ALERT)
    thread = threading.Thread(target=alerting.deliver, args=(project,))
    thread.start()
    begun = time.monotonic()
    with project.write() as s:
        s.add(Alert(key="k", kind="k", severity="warning", summary="", details={},
                    opened_at=project.now(), last_seen_at=project.now()))  # fmt: skip
    assert time.monotonic() - begun < 0.4
    thread.join()


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.text(max_size=80))
def test_a_subject_never_holds_a_control_character(text: str) -> None:
    plain = printable.line(text)
    assert plain.isprintable()


def test_messages_have_one_shape() -> None:
    from datetime import UTC, datetime

    made = trial("shop", datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=3))
    assert json.loads(msgspec.json.encode(made)) == {
        "event": "test", "id": "test", "dedupe_key": None, "status": "test", "severity": "info",
        "model": None, "version": None, "project": "shop", "at": "2026-01-02T03:00:00Z",
        "summary": "a test message from shop; nothing is wrong", "details": {},
        "text": "test: a test message from shop; nothing is wrong", "started_at": None,
        "ended_at": None, "escalated": False, "next": ["mlkit alert list"], "alerts": [],
    }  # fmt: skip
