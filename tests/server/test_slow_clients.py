"""Clients that do not send what they begin, and those that say nothing: others are answered."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from mlkit.project import Project
from mlkit.server.connections import Connection
from mlkit.server.slow_clients import SlowClients, _Waiting

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
HEAD = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = HEAD + b"Content-Length: 100\r\n\r\n"

BEGUN = {
    "nothing": b"",
    "half a head": HEAD,
    "half a body": BODY + b'{"rows"',
    "half a chunk": HEAD + b'Transfer-Encoding: chunked\r\n\r\n20\r\n{"rows"',
    "a whole chunk and no end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a body that was asked for": HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a body to another route": BODY.replace(b"/predict/churn", b"/actuals"),
    "an answered request": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.fixture(scope="module")
def server(
    trained_root: Path, tmp_path_factory: pytest.TempPathFactory, start: Callable[..., Any]
) -> Iterator[Any]:
    """A server with little patience."""
    yield from _served(trained_root, tmp_path_factory, start, BODY_S="1.5", IDLE_S="1.5")


@pytest.fixture(scope="module")
def crowded(
    trained_root: Path, tmp_path_factory: pytest.TempPathFactory, start: Callable[..., Any]
) -> Iterator[Any]:
    """A server with few threads and connections, and much patience when they are free."""
    yield from _served(trained_root, tmp_path_factory, start, THREADS="8", CONNECTIONS="40")


def _served(
    trained_root: Path,
    folders: pytest.TempPathFactory,
    start: Callable[..., Any],
    **limits: str,
) -> Iterator[Any]:
    root = folders.mktemp("served") / "project"
    shutil.copytree(trained_root, root)
    settings = {f"MLKIT_SERVER_{name}": value for name, value in limits.items()}
    server = start(root, "--workers", "1", environment=os.environ | settings)
    yield server
    code, said = server.stop()
    assert (code, "Traceback" in said) == (0, False), said


def _begin(server: Any, sent: bytes) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    link.sendall(sent)
    return link


def _rest(link: socket.socket, drip: bytes = b"") -> bytes:
    """Return what comes until the server hangs up, while ``drip`` is sent again and again."""
    found, end = b"", time.monotonic() + 15
    link.settimeout(0.2)
    while time.monotonic() < end:
        try:
            part = link.recv(65_536)
        except TimeoutError:
            if drip:
                link.sendall(drip)
            continue
        except ConnectionError:
            return found
        if not part:
            return found
        found += part
    raise AssertionError(f"the connection is still open: {found!r}")


@pytest.mark.parametrize("begun", BEGUN)
def test_who_does_not_finish_is_cut_off(server: Any, begun: str) -> None:
    with _begin(server, BEGUN[begun]) as link:
        answer = _rest(link)
    if "body" in begun or "chunk" in begun:
        assert b" 408 " in answer
        assert b"problem+json" in answer
    assert server.predict().status == 200


@pytest.mark.parametrize("begun", ["half a head", "half a body"])
def test_a_drip_is_no_progress(server: Any, begun: str) -> None:
    with _begin(server, BEGUN[begun]) as link:
        _rest(link, b"a")


def test_a_request_that_comes_in_time_is_answered_however_slowly_it_comes(server: Any) -> None:
    body = json.dumps({"rows": [ROW]}).encode()
    with _begin(server, HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode()) as link:
        for at in range(0, len(body), 20):
            time.sleep(0.1)
            link.sendall(body[at : at + 20])
        assert link.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("begun", BEGUN)
def test_many_of_them_hold_up_nobody(crowded: Any, begun: str) -> None:
    with ExitStack() as links:
        for _ in range(60):
            links.enter_context(_begin(crowded, BEGUN[begun]))
        for path in ("/livez", "/readyz") * 2:
            assert crowded.ask("GET", path).status == 200
        assert crowded.predict().status == 200
    for _ in range(20):
        assert crowded.predict().status == 200


def test_who_drips_in_a_crowd_goes_first(crowded: Any) -> None:
    links = [_begin(crowded, BEGUN["half a body"]) for _ in range(30)]
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.2):
            for link in links:
                try:
                    link.sendall(b" ")
                except OSError:
                    continue

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        assert _asked_again(crowded, "/livez") == 200
        assert _asked_again(crowded, "/readyz") == 200
    finally:
        over.set()
        dripping.join()
        for link in links:
            link.close()


def test_who_came_later_goes_later_whatever_the_coarse_clock_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_clients, now = SlowClients(project.settings.server), time.monotonic()
    first = Connection(1, 9, "192.0.2.1", now - 5.0, now - 5.0, 1, 0)
    later = Connection(2, 8, "192.0.2.1", now - 5.004, now - 5.004, 1, 0)  # a tick too old
    for look, there in enumerate(([first], [later, first])):
        monkeypatch.setattr("mlkit.server.connections.of_port", lambda _port, there=there: there)
        found = slow_clients._known(now + look, 80)
    assert slow_clients._late(found, 1.0, set()) == [first, later]


def test_a_whole_request_outlasts_those_that_go_on_sending(project: Project) -> None:
    slow_clients = SlowClients(project.settings.server)
    now = time.monotonic()

    def link(key: int, received: int) -> Connection:
        return Connection(key, key, "192.0.2.1", now - 5, now, received, 0)

    whole, sending = link(1, 1), [link(key, 7) for key in range(2, 6)]
    slow_clients._waiting = {each.key: _Waiting(now - 5, 0, 1) for each in (whole, *sending)}
    slow_clients._seen = {each.key: float(each.key) for each in (whole, *sending)}
    late = slow_clients._late(dict.fromkeys([whole, *sending], 5.0), 1.0, set())
    assert late == [*sending, whole]


def _asked_again(server: Any, path: str) -> int:
    """Ask until there is an answer: among equals in a crowd a probe may be cut off, too."""
    for _ in range(5):
        with suppress(OSError):
            return int(server.ask("GET", path).status)
    return 0
