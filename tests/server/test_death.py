"""However a server ends: what was answered is on record, and the next one starts."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows.log import logs
from mlkit.project import Project, open_project

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
BODY = json.dumps({"rows": [ROW, ROW]}).encode()


class Crowd:
    """Clients that keep asking until the server is gone, and remember what they were told."""

    def __init__(self, server: Any, clients: int = 4) -> None:
        self.ids: list[str] = []
        self.refused = 0
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = self._server.connect()
        while not self._over.is_set():
            try:
                connection.request(
                    "POST", "/predict/churn", BODY, {"Content-Type": "application/json"}
                )
                reply = connection.getresponse()
                body = json.loads(reply.read())
            except (OSError, HTTPException, ValueError):
                connection.close()
                time.sleep(0.01)
                continue
            if reply.status == 200:
                self.ids += [row["id"] for row in body["predictions"]]
            else:
                self.refused += 1
        connection.close()

    def wait_for(self, answers: int, patience_s: float = 20.0) -> None:
        """Return when so many more rows have been answered."""
        goal, end = len(self.ids) + answers, time.monotonic() + patience_s
        while len(self.ids) < goal:
            assert time.monotonic() < end
            time.sleep(0.01)

    def leave(self) -> list[str]:
        """Stop asking; return the id of every row that was answered."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.ids


def _logged(root: Path) -> list[str]:
    project = open_project(root, environment={})
    found: list[str] = logs.read(project, "churn").column("_id").to_pylist()
    project.close()
    return found


def test_kill_9_of_everything_loses_no_answer_that_a_client_has(
    trained: Project, serve: Callable[..., Any]
) -> None:
    told: list[str] = []
    for moment in (0.0, 0.6):
        server = serve(trained.root, "--workers", "2")
        crowd = Crowd(server)
        crowd.wait_for(100)
        time.sleep(moment)
        server.kill()
        told += crowd.leave()
    logged = _logged(trained.root)
    assert len(logged) == len(set(logged))
    assert set(told) <= set(logged)
    assert serve(trained.root, "--workers", "1").predict(ROW).status == 200


def test_a_worker_that_is_killed_is_replaced_and_loses_nothing(
    trained: Project, serve: Callable[..., Any]
) -> None:
    server = serve(trained.root, "--workers", "2")
    crowd = Crowd(server)
    crowd.wait_for(50)
    before = server.workers()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    crowd.wait_for(50)
    end = time.monotonic() + 20
    while len(set(server.workers()) - {before[0]}) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    told = crowd.leave()
    assert crowd.refused == 0
    assert server.stop()[0] == 0
    assert set(told) <= set(_logged(trained.root))


@pytest.mark.parametrize("wish", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_answers_what_it_has_begun_and_says_nothing(
    trained: Project, serve: Callable[..., Any], wish: signal.Signals
) -> None:
    server = serve(trained.root, "--workers", "1")
    crowd = Crowd(server, clients=2)
    crowd.wait_for(50)
    server.process.send_signal(wish)
    code = server.process.wait(timeout=30)
    told = crowd.leave()
    _, said = server.stop()
    assert (code, said) == (0, "")
    assert crowd.refused == 0
    assert set(told) <= set(_logged(trained.root))


def test_workers_do_not_outlive_a_main_process_that_was_killed(
    trained: Project, serve: Callable[..., Any]
) -> None:
    server = serve(trained.root, "--workers", "2")
    workers = server.workers()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.communicate()
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_project_is_served_once_on_a_port(trained_cli: Any, serve: Callable[..., Any]) -> None:
    server = serve(trained_cli.root, "--workers", "1")
    second = trained_cli("serve", "--port", server.port, code=1)
    assert "Address already in use" in second.stderr
