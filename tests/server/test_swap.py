"""Promotions and rollbacks reach a running server, while requests go on and none fails."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from typing import Any

import pytest

from mlkit.errors import DamagedError
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.store import alerts

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False, "since": "2026-01-01T00:00:00Z"}
BODY = json.dumps({"rows": [ROW]}).encode()


def _post(connection: HTTPConnection) -> HTTPResponse:
    """Ask; once more if the server had closed the connection before it saw the request."""
    for last in (False, True):
        try:
            connection.request("POST", "/predict/churn", BODY, {"Content-Type": "application/json"})
            return connection.getresponse()
        except (RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()
            if last:
                raise
    raise AssertionError("not reached")


@contextmanager
def asked(server: Any, threads: int = 3) -> Iterator[list[tuple[int, int]]]:
    """Keep asking over several connections; what came back is in the list: status, version."""
    over = threading.Event()
    answers: list[tuple[int, int]] = []

    def ask() -> None:
        connection = server.connect()
        while not over.is_set():
            reply = _post(connection)
            answers.append((reply.status, json.loads(reply.read()).get("version", 0)))
        connection.close()

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    yield answers
    over.set()
    for thread in running:
        thread.join()


def _wait_for(what: Callable[[], bool], patience_s: float = 15.0) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def _versions(server: Any, count: int = 30) -> set[int]:
    """Return the versions that answer now, asked often enough to meet every worker."""
    return {server.predict(ROW).body["version"] for _ in range(count)}


def test_promotions_and_rollbacks_are_followed_without_a_failed_request(
    project: Project, register: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    register(project, seed=0)
    register(project, seed=1, promote=False)
    server = serve(project.root, "--workers", "2")
    with asked(server) as answers:
        for action, expected in (("promote", 2), ("rollback", 1), ("promote", 2)):
            if action == "promote":
                deploy.promote(project, "churn", 2, force=True)
            else:
                deploy.rollback(project, "churn")
            _wait_for(lambda expected=expected: _versions(server) == {expected})
    assert len(answers) > 100
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {1, 2}


def test_a_first_champion_makes_a_waiting_server_ready(
    project: Project, register: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    register(project, promote=False)
    server = serve(project.root, "--workers", "1")
    before = server.ask("GET", "/readyz")
    assert (before.status, before.body["status"]) == (503, "not ready")
    assert "no model has a champion" in before.body["problems"]["models"]
    assert server.ask("GET", "/livez").status == 200
    assert server.predict(ROW).status == 404
    deploy.promote(project, "churn", 1, force=True)
    _wait_for(lambda: server.ask("GET", "/readyz").status == 200)
    assert server.predict(ROW).status == 200


def test_a_champion_that_cannot_be_trusted_is_not_loaded_and_the_old_one_goes_on(
    project: Project, register: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    register(project, seed=0)
    second = register(project, seed=1, promote=False)
    server = serve(project.root, "--workers", "1")
    file = project.artifacts.path(second.artifact_sha256)
    file.chmod(0o600)
    file.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(DamagedError):
        deploy.promote(project, "churn", 2, force=True)
    with project.write() as s:  # as if the file had been damaged after the promotion
        deploy.start(s, project, second, action="promote", reason="a test", evidence={})
    _wait_for(lambda: server.ask("GET", "/readyz").body["status"] == "degraded")
    ready = server.ask("GET", "/readyz")
    assert (ready.status, ready.body["models"]) == (200, {"churn": 1})
    assert "v2" in ready.body["problems"]["churn"]
    assert server.predict(ROW).body["version"] == 1
    assert not (project.root / "pwned").exists()
    with project.read() as s:
        (alert,) = alerts.ongoing(s, model="churn", kinds=("serving",))
    assert "v1 goes on answering" in alert.summary


def test_a_restart_of_the_workers_fails_no_request_and_takes_over_the_settings(
    project: Project, register: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    register(project, seed=0)
    server = serve(project.root, "--workers", "2")
    before = set(server.workers())
    with asked(server, threads=16) as answers:
        (project.root / "mlkit.toml").write_text("[server]\nmax_rows = 1\n")
        os.kill(server.process.pid, signal.SIGHUP)
        _wait_for(lambda: len(now := set(server.workers())) == 2 and not now & before, 30)
    assert len(answers) > 100
    assert {status for status, _ in answers} == {200}
    assert server.predict(ROW, ROW).status == 413


def test_new_settings_that_do_not_work_leave_the_old_workers_at_it(
    project: Project, register: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    register(project, seed=0)
    server = serve(project.root, "--workers", "2")
    before = set(server.workers())
    (project.root / "mlkit.toml").write_text("[server]\nmax_rows = 'many'\n")
    with asked(server, threads=4) as answers:
        os.kill(server.process.pid, signal.SIGHUP)
        assert server.says("a new worker does not start")
        _wait_for(lambda: set(server.workers()) == before, 30)
        (project.root / "mlkit.toml").write_text("[server]\nmax_rows = 1\n")
        os.kill(server.process.pid, signal.SIGHUP)
        _wait_for(lambda: len(now := set(server.workers())) == 2 and not now & before, 60)
    assert {status for status, _ in answers} == {200}
    assert server.predict(ROW, ROW).status == 413


@pytest.mark.parametrize("kept", [True, False])
def test_no_worker_is_replaced_at_the_cost_of_a_request(
    project: Project, register: Callable[..., Any], serve: Callable[..., Any], *, kept: bool
) -> None:
    """Over connections that are kept, and over new ones by the hundred."""
    register(project, seed=0)
    server = serve(project.root, "--workers", "1")
    (before,) = server.workers()
    over, failed, count = threading.Event(), [], []

    def ask() -> None:
        link = server.connect()
        while not over.is_set():
            try:
                link.request("GET", "/livez")
                reply = link.getresponse()
                reply.read()
                count.append(reply.status)
                if not kept:
                    link.close()
            except Exception as error:  # noqa: BLE001  # whatever it is, it fails the test
                failed.append(error)
                link.close()
        link.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    os.kill(server.process.pid, signal.SIGHUP)
    try:
        _wait_for(lambda: (now := server.workers()) and before not in now, 60)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert set(count) == {200}
    assert len(count) > 100
