"""Kill -9 of one worker, of both, of everything, again and again under load: 0 lost, 0 doubled.

A dozen kills by default; ``MLKIT_TEST_KILLS=200`` for the number that the promise was made with.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlkit.flows.log import logs
from mlkit.project import Project, open_project

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
KILLS = int(os.environ.get("MLKIT_TEST_KILLS", "12"))
CLIENTS = 8


class Client(threading.Thread):
    """Ask without end; what is not answered is asked again under the same request id."""

    def __init__(self, port: int, over: threading.Event) -> None:
        super().__init__()
        self.told: dict[str, list[str]] = {}
        self.refused: list[tuple[int, Any]] = []
        self.port = port
        self._over = over

    def run(self) -> None:
        """Ask until it is over."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        request_id = ""
        while not self._over.is_set():
            request_id = request_id or str(uuid4())
            try:
                answer = self._ask(connection, request_id)
            except (OSError, HTTPException, ValueError):
                connection.close()
                connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
                time.sleep(0.01)
                continue
            self.told[request_id] = [row["id"] for row in answer["predictions"]]
            request_id = ""
        connection.close()

    def _ask(self, connection: HTTPConnection, request_id: str) -> Any:
        body = json.dumps({"rows": [ROW, ROW], "request_id": request_id}).encode()
        connection.request("POST", "/predict/churn", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        if reply.status != 200:
            self.refused.append((reply.status, answer))
            raise HTTPException(f"{reply.status}")
        return answer


def _kill(server: Any, chance: random.Random) -> None:
    """Kill one worker, all workers, or all processes."""
    workers = server.workers()
    what = chance.choice(("one", "one", "workers", "everything"))
    if what == "everything" or not workers:
        server.kill()
        return
    for worker in workers if what == "workers" else [chance.choice(workers)]:
        os.kill(worker, signal.SIGKILL)


def test_no_kill_loses_or_doubles_an_answer(trained: Project, start: Callable[..., Any]) -> None:
    chance = random.Random(3)  # noqa: S311  # reproducible, not secret
    server = start(trained.root, "--workers", "2")
    over = threading.Event()
    clients = [Client(server.port, over) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 0.6))
            _kill(server, chance)
            server = _wait_for(clients, 20, server, lambda: start(trained.root))
    finally:
        over.set()
        for client in clients:
            client.join()
        server.stop()
    assert [refused for client in clients for refused in client.refused] == []
    told = {key: ids for client in clients for key, ids in client.told.items()}
    logged = _logged(trained.root)
    asked = Counter(row["request_id"] for row in logged)
    ids = {row["id"] for row in logged}
    assert [ids_ for ids_ in told.values() if not set(ids_) <= ids] == []
    assert set(asked.values()) == {2}
    assert len(ids) == len(logged)


def _wait_for(clients: list[Client], answers: int, server: Any, again: Callable[[], Any]) -> Any:
    """Return the server that gave so many answers, started anew if all of it has ended.

    It ends when one worker dies twice within seconds, too: what starts it again is systemd.
    """
    end = time.monotonic() + 60
    goal = sum(len(client.told) for client in clients) + answers
    while True:
        assert time.monotonic() < end, "no answers any more"
        if server.process.poll() is not None:
            server.stop()
            server = again()
            for client in clients:
                client.port = server.port
        elif sum(len(client.told) for client in clients) >= goal:
            return server
        time.sleep(0.02)


def _logged(root: Path) -> list[dict[str, str]]:
    project = open_project(root, environment={})
    table = logs.read(project, "churn")
    project.close()
    return [
        {"id": a, "request_id": b}
        for a, b in zip(table["_id"].to_pylist(), table["_request_id"].to_pylist(), strict=True)
    ]
