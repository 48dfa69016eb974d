"""Real receivers of alerts, a web server and a mail server, and a project whose time is ours."""

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlkit.project import Project
from mlkit.settings.table import Alerts, Jobs


def set_alerts(project: Project, **settings: Any) -> Project:
    """Return the project with other settings of its alerts; ends are told at once unless said."""
    chosen = Alerts(**{"cool_down": "off", **settings})
    changed = msgspec.structs.replace(project.settings, alerts=chosen)
    return Project(project.root, changed, project.database, project.clock_file)


class Clocked:
    """A project whose clock moves when it is told to."""

    def __init__(self, project: Project, file: Path) -> None:
        self.file = file
        self.project = Project(project.root, project.settings, project.database, file)
        self.set("2026-01-05T12:00:00+00:00")  # a Monday

    def set(self, moment: str) -> datetime:
        self.file.write_text(moment)
        return self.project.now()

    def wait(self, **length: float) -> datetime:
        return self.set((self.project.now() + timedelta(**length)).isoformat())

    def alerts(self, **settings: Any) -> Project:
        self.project = set_alerts(self.project, **settings)
        return self.project

    def jobs(self, **settings: Any) -> Project:
        changed = msgspec.structs.replace(self.project.settings, jobs=Jobs(**settings))
        self.project = Project(self.project.root, changed, self.project.database, self.file)
        return self.project


@pytest.fixture
def clocked(project: Project, tmp_path: Path) -> Clocked:
    """A new project on Monday the 5th of January 2026, at noon, until told otherwise."""
    return Clocked(project, tmp_path / "clock")


class Hook:
    """A web server that keeps what it is sent and answers with the next status."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.paths.append(self.path)
                hook.headers.append(dict(self.headers))
                hook.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # a followed redirect would arrive as this  # noqa: N815

            def log_message(self, *_args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/s3cret-path"


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    with serving(made.server):
        yield made


class Mailbox(socketserver.TCPServer):
    """The part of SMTP that a client needs; keeps the commands and the letters."""

    allow_reuse_address = True

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.letters: list[bytes] = []
        self.tls: ssl.SSLContext | None = None
        super().__init__(("127.0.0.1", 0), _Smtp)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        box = self.server
        assert isinstance(box, Mailbox)
        self._say("220 box")
        while line := self.rfile.readline().decode().strip():
            box.commands.append(line)
            word = line.split()[0].upper()
            if word == "EHLO":
                self._say(
                    f"250-box\r\n{'250-STARTTLS' if box.tls else '250-HELP'}\r\n250 AUTH PLAIN"
                )
            elif word == "STARTTLS":
                assert box.tls is not None
                self._say("220 go on")
                with contextlib.suppress(ssl.SSLError):
                    box.tls.wrap_socket(self.connection, server_side=True).close()
                return
            elif word == "AUTH":
                self._say(
                    "235 welcome" if "AHdhcmRlbgBodW50ZXIy" in line else "535 go away hunter3"
                )
            elif word == "DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                box.letters.append(b"".join(lines))
                self._say("250 taken")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    with serving(box):
        yield box
