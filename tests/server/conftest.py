"""A real server: granian in a process of its own, asked over HTTP."""

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mlkit.project import create_project

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
_SAYS = re.compile(r"serving on http://[^ ]+:(\d+)")


class Reply(NamedTuple):
    """What came back, its body decoded if it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Server:
    """``mlkit serve`` for the project in ``root``, as a leader of its own process group."""

    def __init__(
        self, warm: Any, root: Path | None, *words: str, environment: Mapping[str, str] = os.environ
    ) -> None:
        """``root`` is None where the environment says which project it is."""
        self.root = root
        project = [] if root is None else ["--project", str(root)]
        self.process = warm.start(*project, "serve", "--port", "0", *words, environment=environment)
        said = ""
        while (found := _SAYS.search(said)) is None:
            line = self.process.stderr.readline()
            assert line, f"the server ended: {said}"
            said += line
        self.port = int(found[1])

    def connect(self, timeout: float = 20.0) -> HTTPConnection:
        """Return a connection that stays open from request to request."""
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        kind: str = "application/json",
        **headers: str,
    ) -> Reply:
        """Send one request on a connection of its own; anything but bytes goes as JSON."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = kind
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connect()
        try:
            connection.request(method, path, body, sent)
            return _reply(connection.getresponse())
        finally:
            connection.close()

    def predict(self, *rows: Any, model: str = "churn", **fields: Any) -> Reply:
        """Ask for predictions."""
        return self.ask("POST", f"/predict/{model}", {"rows": rows or [ROW], **fields})

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        try:
            tasks = Path(f"/proc/{self.process.pid}/task")
            found = [pid for file in tasks.glob("*/children") for pid in file.read_text().split()]
            names = {int(pid): Path(f"/proc/{pid}/comm").read_text().strip() for pid in found}
        except (FileNotFoundError, ProcessLookupError):  # it is ending just now
            return []
        return [pid for pid, name in names.items() if name == "mlkit-worker"]

    def says(self, text: str, patience_s: float = 60.0) -> bool:
        """Tell whether a line with ``text`` comes in time; what was said up to it is gone."""
        lines = self.process.stderr
        heard = threading.Thread(target=lambda: any(text in line for line in lines), daemon=True)
        heard.start()
        heard.join(patience_s)
        return not heard.is_alive() and self.process.poll() is None

    def kill(self) -> None:
        """End every process of the server at once, as a power cut would."""
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> tuple[int, str]:
        """Ask it to end; return its exit code and what it said since it answered."""
        if self.process.poll() is None:
            self.process.terminate()
        if self.process.stderr.closed:  # killed
            return self.process.returncode, ""
        said = self.process.communicate(timeout=30)[1]
        return self.process.returncode, said


def _reply(response: HTTPResponse) -> Reply:
    body: Any = response.read()
    if "json" in response.headers.get("Content-Type", ""):
        body = json.loads(body)
    return Reply(response.status, response.headers, body)


@pytest.fixture
def serve(warm: Any) -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    started: list[Server] = []

    def start(root: Path | None, *words: str, **options: Any) -> Server:
        started.append(Server(warm, root, *words, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def start(warm: Any) -> Callable[..., Server]:
    """Start a server that the caller ends."""
    return partial(Server, warm)


@pytest.fixture(scope="module")
def server(
    trained_root: Path, tmp_path_factory: pytest.TempPathFactory, warm: Any
) -> Iterator[Server]:
    """One server with the champion churn v1, shared by the tests of a file."""
    root = tmp_path_factory.mktemp("served") / "project"
    shutil.copytree(trained_root, root)
    (root / "mlkit.toml").write_text("[server]\nmax_body_bytes = 60000\nmax_rows = 300\n")
    started = Server(warm, root, "--workers", "1")
    yield started
    code, said = started.stop()
    assert code == 0, said
    assert "Traceback" not in said


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory, register: Callable[..., Any]) -> Path:
    """A project folder with the champions churn and zebra."""
    root = tmp_path_factory.mktemp("two") / "project"
    root.mkdir()
    (root / "mlkit.toml").write_text('[server]\ndefault_model = "churn"\n')
    project = create_project(root, environment={})
    register(project)
    register(project, "zebra", seed=1)
    project.close()
    return root
