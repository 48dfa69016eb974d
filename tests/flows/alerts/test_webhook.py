"""A webhook goes to the address that was checked, in the shape that was asked for, and in time."""

import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows.alerts import alerting, pinned
from mlkit.flows.alerts.pinned import AnsweredError, Body, UnreachableError
from mlkit.flows.operations import upkeep

BODY = Body(b"{}", {"Content-Type": "application/json"})
ALERT: dict[str, Any] = {
    "kind": "drift", "severity": "warning", "model": "churn", "details": {"version": 7},
}  # fmt: skip


class Names:
    """A resolver that answers with the next of these addresses, and counts the questions."""

    def __init__(self, *addresses: str, port: int) -> None:
        self.addresses, self.port, self.asked = list(addresses), port, 0

    def __call__(self, _host: str, _port: int, **_: Any) -> list[Any]:
        self.asked += 1
        address = self.addresses.pop(0)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, self.port))]


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names("127.0.0.1", "169.254.169.254", port=hook.server.server_port)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    pinned.post("http://hooks.example.org/in?a=b", BODY, timeout_s=5)
    assert names.asked == 1
    assert hook.paths == ["/in?a=b"]
    assert hook.headers[0]["Host"] == "hooks.example.org"


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0",  # noqa: S104
     "224.0.0.1", "100.100.100.200"],
)  # fmt: skip
def test_no_name_leads_to_the_metadata_of_a_cloud(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(address, port=80))
    with pytest.raises(UnreachableError, match="no address to send anything to"):
        pinned.post("http://hooks.example.org/", BODY, timeout_s=5)


def test_a_name_of_which_one_address_is_refused_is_refused(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = Names("127.0.0.1", port=hook.server.server_port), Names("169.254.1.1", port=80)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: good(*a, **k) + bad(*a, **k))
    with pytest.raises(UnreachableError):
        pinned.post("http://hooks.example.org/", BODY, timeout_s=5)
    assert hook.bodies == []


def test_the_next_address_is_tried_if_one_does_not_answer(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = Names("127.0.0.1", port=9), Names("127.0.0.1", port=hook.server.server_port)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: dead(*a, **k) + alive(*a, **k))
    pinned.post("http://hooks.example.org/", BODY, timeout_s=5)
    assert len(hook.bodies) == 1


def test_a_user_and_password_of_the_url_are_sent_as_a_header(hook: Any) -> None:
    url = hook.url.replace("http://", "http://us%40er:pw@")
    pinned.post(url, BODY, timeout_s=5)
    assert hook.headers[0]["Authorization"] == "Basic dXNAZXI6cHc="
    assert hook.headers[0]["Host"] == f"127.0.0.1:{hook.server.server_port}"


def test_an_answer_that_is_no_success_is_an_error(hook: Any) -> None:
    hook.answers = [404]
    with pytest.raises(AnsweredError, match="answered 404"):
        pinned.get(hook.url, timeout_s=5)


@contextmanager
def _talking(talk: Any) -> Iterator[str]:
    """A server that does as ``talk`` says with a connection; yields its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            talk(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def _drip(line: socket.socket) -> None:
    try:
        line.sendall(b"HTTP/1.1 200 ")
        for _ in range(100):
            line.sendall(b"x")
            time.sleep(0.1)
    except OSError:
        return


def test_an_answer_that_drips_is_cut_off() -> None:
    begun = time.monotonic()
    with _talking(_drip) as url:
        with pytest.raises(UnreachableError, match=r"no answer within 0\.5 s"):
            pinned.post(url, BODY, timeout_s=0.5)
        assert time.monotonic() - begun < 3


def test_a_server_that_hangs_up_is_an_error() -> None:
    with _talking(lambda line: line.close()) as url, pytest.raises(UnreachableError):
        pinned.post(url, BODY, timeout_s=5)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The file of a key and a certificate of hooks.example.org, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    file, name = tmp_path / "both.pem", "hooks.example.org"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text((tmp_path / "key").read_text() + (tmp_path / "certificate").read_text())
    return file


@pytest.mark.parametrize("name", ["hooks.example.org", "other.example.org"])
def test_under_tls_the_certificate_has_to_be_that_of_the_name(
    name: str, hook: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    hook.server.socket = context.wrap_socket(hook.server.socket, server_side=True)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    names = Names("127.0.0.1", port=hook.server.server_port)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    if name == "hooks.example.org":
        pinned.post(f"https://{name}/in", BODY, timeout_s=5)
        assert hook.headers[0]["Host"] == name
    else:
        with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            pinned.post(f"https://{name}/in", BODY, timeout_s=5)
        assert hook.bodies == []


# --- shapes


def test_slack_gets_a_text_and_blocks_that_mention_nobody(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, webhook_format="slack")
    summary = "plan <!channel> & more moved"
    alerting.raise_alert(project, key="drift:churn", summary=summary, **ALERT)
    upkeep.process(project)
    body = json.loads(hook.bodies[0])
    assert set(body) == {"text", "blocks"}
    assert body["text"] == "firing: plan &lt;!channel&gt; &amp; more moved"
    (block,) = body["blocks"]
    assert block["type"] == "section"
    assert block["text"]["type"] == "mrkdwn"
    assert "<!" not in block["text"]["text"]
    assert "`mlkit drift check churn --explain`\n" in block["text"]["text"]
    assert "`mlkit alert ack 1`" in block["text"]["text"]


def test_slack_takes_a_digest_of_any_length(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, webhook_format="slack", digest="daily")
    for number in range(60):
        alerting.raise_alert(project, key=f"drift:m{number}", summary="x" * 5000, **ALERT)
    clocked.wait(days=1)
    upkeep.process(project)
    body = json.loads(hook.bodies[0])
    assert len(body["blocks"]) == 50
    assert max(len(block["text"]["text"]) for block in body["blocks"]) <= 3000


def test_alertmanager_gets_labels_that_stay_and_an_end(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(
        webhook_url=hook.url, webhook_format="alertmanager", escalate_after="4h"
    )
    alerting.raise_alert(project, key="drift:churn", summary="age moved", **ALERT)
    upkeep.process(project)
    clocked.wait(hours=4)
    upkeep.process(project)
    alerting.resolve(project, "drift:churn", "gone")
    upkeep.process(project)
    opened, escalated, resolved = (json.loads(body) for body in hook.bodies)
    (first,) = opened
    assert first["labels"] == {
        "alertname": "mlkit_drift", "key": "drift:churn", "project": "project",
        "severity": "warning", "model": "churn",
    }  # fmt: skip
    assert first["startsAt"] == "2026-01-05T12:00:00Z"
    assert first["endsAt"] > "2026-06"
    assert first["annotations"]["next"].startswith("mlkit drift check churn --explain; ")
    critical, warning = escalated
    assert (critical["labels"]["severity"], warning["labels"]) == ("critical", first["labels"])
    assert warning["endsAt"] == "2026-01-05T16:00:00Z"
    assert critical["endsAt"] > "2026-06"
    ends = {each["labels"]["severity"]: each["endsAt"] for each in resolved}
    assert ends == {"critical": "2026-01-05T16:00:00Z", "warning": "2026-01-05T16:00:00Z"}
    labels = {json.dumps(each["labels"]) for each in (*opened, *escalated, *resolved)}
    assert len(labels) == 2


def test_alertmanager_gets_each_alert_of_a_digest(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, webhook_format="alertmanager", digest="daily")
    for key in ("drift:a", "drift:b"):
        alerting.raise_alert(project, key=key, summary="age moved", **ALERT)
    clocked.wait(days=1)
    upkeep.process(project)
    assert [each["labels"]["key"] for each in json.loads(hook.bodies[0])] == ["drift:a", "drift:b"]


# --- the outside


def test_the_heartbeat_is_asked_for_at_each_run(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(heartbeat_url=hook.url)
    hook.answers = [200, 500]
    assert upkeep.process(project) == "heartbeat sent"
    assert upkeep.process(project) == "heartbeat failed: answered 500"
    assert hook.paths == ["/hooks/s3cret-path"] * 2
    project = clocked.alerts(heartbeat_url="http://127.0.0.1:9/s3cret-path")
    assert "s3cret" not in upkeep.process(project)
    outcome = alerting.test(project)[-1]
    assert (outcome.sink, outcome.delivered) == ("heartbeat", False)
