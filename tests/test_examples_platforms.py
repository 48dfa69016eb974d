"""The examples for other people's software hold, as far as this machine can tell."""

import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mlkit.cli.root import COMMANDS
from mlkit.project import Project
from mlkit.settings import table
from mlkit.settings.sources import environment_name

EXAMPLES = Path(__file__).parents[1] / "examples"
ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
BODY = json.dumps({"rows": [ROW]}).encode()
HEADERS = {"Content-Type": "application/json", "Host": "models.example.org"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile and their arguments."""
    text = (EXAMPLES / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(words[0], words[1]) for words in (line.split(maxsplit=1) for line in lines)]


def test_the_dockerfile_says_what_mlkit_knows() -> None:
    found = _instructions()
    assert {name for name, _ in found} <= {
        "FROM", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"
    }  # fmt: skip
    variables = [word.partition("=")[0] for name, text in found if name == "ENV"
                 for word in shlex.split(text)]  # fmt: skip
    known = {environment_name(setting.name) for setting in table.table()} | {"MLKIT_PROJECT"}
    assert {name for name in variables if name.startswith("MLKIT")} <= known
    by_name = dict(found)
    assert json.loads(by_name["ENTRYPOINT"]) == ["mlkit"]
    assert json.loads(by_name["CMD"])[0] in COMMANDS
    order = [name for name, _ in found]
    assert order.index("USER") < order.index("ENTRYPOINT")
    page = (EXAMPLES / "docker" / "README.md").read_text()
    for name in re.findall(r"MLKIT_[A-Z_]+", page):
        assert name in known


def test_the_command_of_the_container_serves_and_its_health_check_says_so(
    trained: Project,
) -> None:
    by_name = dict(_instructions())
    port = str(_free_port())
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLKIT_PROJECT": str(trained.root), "MLKIT_SERVER_HOST": "0.0.0.0",  # noqa: S104  # as in the image
        "MLKIT_SERVER_PORT": port, "MLKIT_SERVER_TRUST_NETWORK": "true",
    }  # fmt: skip
    command = [*json.loads(by_name["ENTRYPOINT"]), *json.loads(by_name["CMD"])]
    check = json.loads(by_name["HEALTHCHECK"].partition("CMD ")[2])
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        assert b"serving on" in server.stderr.readline()
        healthy = subprocess.run(check, env=environment, check=False).returncode
        server.terminate()
    assert (healthy, server.returncode) == (0, 0)
    assert subprocess.run(check, env=environment, check=False, capture_output=True).returncode


class Proxy(NamedTuple):
    """nginx in front of a server: its ports, and the certificate to trust."""

    http: int
    https: int
    context: ssl.SSLContext


@pytest.fixture
def proxied(trained: Project, tmp_path: Path) -> Iterator[Any]:
    """``mlkit serve`` behind nginx with the example's configuration."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("this machine has no nginx or no openssl")
    (trained.root / "mlkit.toml").write_text(
        '[server]\nallowed_hosts = ["models.example.org"]\nthreads = 2\n'
    )
    words = [sys.executable, "-m", "mlkit", "--project", str(trained.root), "serve"]
    words += ["--workers", "1", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = server.stderr.readline()
        behind = int(said.rpartition(":")[2])
        proxy = _configure(tmp_path, behind)
        nginx = ["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        with subprocess.Popen([*nginx, "-g", "daemon off;"], stderr=subprocess.DEVNULL) as front:
            _wait_for(proxy.https)
            yield proxy
            front.terminate()
        server.terminate()


def _configure(folder: Path, behind: int) -> Proxy:
    proxy = Proxy(_free_port(), _free_port(), ssl.create_default_context())
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=models.example.org", "-addext", "subjectAltName=DNS:models.example.org",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    proxy.context.load_verify_locations(certificate)
    text = (EXAMPLES / "nginx" / "mlkit.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{proxy.http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{proxy.https} ssl;",
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
        "/etc/ssl/certs/models.example.org.pem": str(certificate),
        "/etc/ssl/private/models.example.org.key": str(key),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "mlkit.conf").write_text(text)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/mlkit.conf;\n}}\n"
    )
    return proxy


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


class _Tls(HTTPSConnection):
    """A connection to loopback that checks the certificate of the public name."""

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.sock = self._context.wrap_socket(plain, server_hostname="models.example.org")  # type: ignore[attr-defined]


def _ask(proxy: Proxy, body: bytes) -> tuple[int, bytes]:
    connection = _Tls("models.example.org", proxy.https, context=proxy.context)
    connection.request("POST", "/predict/churn", body, HEADERS)
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def test_nginx_puts_tls_limits_and_patience_in_front(proxied: Proxy) -> None:
    status, answer = _ask(proxied, BODY)
    assert (status, json.loads(answer)["model"]) == (200, "churn")
    assert _ask(proxied, b" " * 5_000_001)[0] == 413
    plain = HTTPConnection("127.0.0.1", proxied.http, timeout=20)
    plain.request("GET", "/", headers={"Host": "models.example.org"})
    moved = plain.getresponse()
    assert (moved.status, moved.headers["Location"]) == (301, "https://models.example.org/")
    plain.close()


def test_senders_that_wait_at_nginx_do_not_hold_up_mlkit(proxied: Proxy) -> None:
    head = (
        "POST /predict/churn HTTP/1.1\r\nHost: models.example.org\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    waiting: list[Callable[[], None]] = []
    for _ in range(20):  # ten times what the worker could have in hand
        link = socket.create_connection(("127.0.0.1", proxied.https))
        tls = proxied.context.wrap_socket(link, server_hostname="models.example.org")
        tls.sendall(head.encode())
        waiting.append(tls.close)
    assert _ask(proxied, BODY)[0] == 200
    for close in waiting:
        close()
