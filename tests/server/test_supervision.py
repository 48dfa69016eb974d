"""What a server does when a part of it, or what it stands on, goes away for a while."""

import errno
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows.doctor import checkup, servers
from mlkit.flows.log import logs
from mlkit.flows.operations import access
from mlkit.flows.registry import deploy
from mlkit.project import Project, open_project
from mlkit.server import feature_state, import_process, listener
from mlkit.server.access import AccessControl
from mlkit.server.app import SERVICE, create_app
from mlkit.server.periodic_thread import PeriodicThread
from mlkit.server.service import Service
from mlkit.store import alerts
from mlkit.store.disk import heartbeat, locks

ROW = {
    "age": 30, "plan": "free", "spend": 12.5, "active": False, "since": "2026-01-01T00:00:00Z"
}  # fmt: skip
BRIEF = os.environ | {"MLKIT_SERVER_TOKENS_MAX_AGE_S": "1"}


def _wait_for(condition: Callable[[], object], patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _refuses(server: Any) -> bool:
    """Tell whether predictions are refused because the tokens are not known."""
    reply = server.predict(ROW)
    if reply.status != 503:
        assert reply.status == 200
        return False
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Retry-After"] == "1"
    if "tokens" not in reply.body["detail"]:
        return False
    ready = server.ask("GET", "/readyz")
    if (ready.status, ready.body["status"]) != (503, "not ready"):
        return False  # of another worker, which learned the tokens a moment later
    assert server.ask("GET", "/livez").status == 200
    return True


def _enforces_a_first_token_and_follows(server: Any, root: Path, version: int) -> None:
    project = open_project(root, environment={})
    deploy.promote(project, "churn", version, force=True)
    token = access.create(project, "first", scope="predict").token
    project.close()
    _wait_for(lambda: server.predict(ROW).status == 401)
    ask = {"rows": [ROW]}
    _wait_for(
        lambda: (
            server.ask("POST", "/predict/churn", ask, token=token).body.get("version") == version
        )
    )


@pytest.fixture
def two_versions(project: Project, register: Callable[..., Any]) -> Project:
    register(project, seed=0)
    register(project, seed=1, promote=False)
    return project


def test_a_database_that_is_moved_away_and_put_back_is_followed_again(
    two_versions: Project, serve: Callable[..., Any]
) -> None:
    file = two_versions.root / "ml.sqlite"
    server = serve(two_versions.root, "--workers", "2", environment=BRIEF)
    assert server.predict(ROW).status == 200
    file.rename(file.with_suffix(".away"))
    _wait_for(lambda: _refuses(server))
    _wait_for(lambda: {"tokens", "database"} <= set(server.ask("GET", "/readyz").body["problems"]))
    assert not file.exists()  # nobody has made an empty one meanwhile
    file.with_suffix(".away").rename(file)
    _wait_for(lambda: not _refuses(server))
    _enforces_a_first_token_and_follows(server, two_versions.root, 2)


def test_a_project_folder_that_is_moved_away_is_not_begun_anew_and_loses_no_answer(
    two_versions: Project, serve: Callable[..., Any]
) -> None:
    root = two_versions.root
    server = serve(root, "--workers", "1", environment=BRIEF)
    away = root.rename(root.with_name("away"))
    answered = []
    end = time.monotonic() + 30
    while (reply := server.predict(ROW)).status == 200 and time.monotonic() < end:
        answered += [each["id"] for each in reply.body["predictions"]]
    assert (reply.status, root.exists()) == (503, False)
    away.rename(root)
    _wait_for(lambda: not _refuses(server))
    server.stop()
    assert set(answered) <= set(logs.read(two_versions, "churn").column("_id").to_pylist())


def test_a_worker_that_cannot_be_replaced_yet_leaves_the_others_at_it(
    two_versions: Project, serve: Callable[..., Any]
) -> None:
    server = serve(two_versions.root, "--workers", "2", environment=BRIEF)
    file = two_versions.root / "mlkit.toml"
    file.write_text("[server]\nmax_rows = 'many'\n")
    first, second = server.workers()
    os.kill(first, signal.SIGKILL)
    assert server.says("a worker cannot start: ")
    assert server.says("a new worker does not start")
    assert server.predict(ROW).status == 200
    ready = server.ask("GET", "/readyz")
    assert (ready.status, ready.body["status"]) == (200, "degraded")
    assert "1 of 2 workers died" in ready.body["problems"]["workers"]
    file.write_text("")
    _wait_for(lambda: len(set(server.workers()) - {first, second}) == 1)
    assert second in server.workers()
    _wait_for(lambda: server.ask("GET", "/readyz").body["status"] == "ready")
    assert "Traceback" not in server.stop()[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_had_answered_are_replaced_however_often_they_die(
    trained: Project, serve: Callable[..., Any], workers: int
) -> None:
    server = serve(trained.root, "--workers", str(workers))
    known: set[int] = set()
    for _ in range(3):
        _wait_for(lambda: len({*server.workers()} - known) == workers)  # noqa: B023  # called here
        assert server.predict(ROW).status == 200
        known |= set(server.workers())
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
    _wait_for(lambda: set(server.workers()) - known)
    assert server.predict(ROW).status == 200
    assert server.stop()[0] == 0


def test_an_error_that_nobody_thought_of_ends_no_thread(
    two_versions: Project, serve: Callable[..., Any]
) -> None:
    server = serve(two_versions.root, "--workers", "1", environment=BRIEF)
    with closing(sqlite3.connect(two_versions.root / "ml.sqlite", isolation_level=None)) as other:
        other.execute("ALTER TABLE token RENAME TO elsewhere")
        _wait_for(lambda: _refuses(server))
        other.execute("ALTER TABLE elsewhere RENAME TO token")
    _wait_for(lambda: not _refuses(server))
    _enforces_a_first_token_and_follows(server, two_versions.root, 2)


def test_another_database_file_under_the_name_is_what_counts_from_now_on(
    two_versions: Project, serve: Callable[..., Any], tmp_path: Path
) -> None:
    root, copy = two_versions.root, tmp_path / "copy"
    two_versions.close()
    shutil.copytree(root, copy)
    server = serve(root, "--workers", "2")
    assert server.predict(ROW).body["version"] == 1
    other = open_project(copy, environment={})
    deploy.promote(other, "churn", 2, force=True)
    token = access.create(other, "first", scope="predict").token
    other.close()
    for tail in ("-wal", "-shm"):
        (root / f"ml.sqlite{tail}").unlink(missing_ok=True)
    (copy / "ml.sqlite").replace(root / "ml.sqlite")
    _wait_for(lambda: server.predict(ROW).status == 401)
    asked = [
        server.ask("POST", "/predict/churn", {"rows": [ROW]}, token=token).body.get("version")
        for _ in range(8)
    ]
    _wait_for(lambda: asked[-1] == 2 or asked.append(
        server.ask("POST", "/predict/churn", {"rows": [ROW]}, token=token).body.get("version")
    ))  # fmt: skip
    project = open_project(root, environment={})
    _wait_for(lambda: "server:database" in _ongoing(project))
    project.close()
    assert "replaced by another file" in server.stop()[1]


def test_the_process_that_imports_is_replaced_and_its_death_is_told(
    two_versions: Project, serve: Callable[..., Any]
) -> None:
    server = serve(two_versions.root, "--workers", "1")
    (first,) = _importers(server)
    os.kill(first, signal.SIGKILL)
    _wait_for(lambda: (found := _importers(server)) and found != [first])
    _wait_for(lambda: "server:log" in _ongoing(two_versions))
    prediction = server.predict(ROW).body["predictions"][0]["id"]
    items = [{"prediction_id": prediction, "actual": "no"}]
    _wait_for(lambda: server.ask("POST", "/actuals", {"items": items}).body["accepted"] == 1)
    assert server.ask("GET", "/readyz").body["status"] == "ready"
    code, said = server.stop()
    assert (code, "was killed by SIGKILL; another takes its place" in said) == (0, True)


def test_doctor_and_readyz_miss_a_process_that_is_not_heard_of(
    trained: Project, serve: Callable[..., Any]
) -> None:
    server = serve(trained.root, "--workers", "1")
    file = trained.state_dir / "metrics" / str(server.port) / heartbeat.FILE
    _wait_for(file.exists)
    assert [f.level for f in servers.servers(trained)] == ["ok"]
    (importer,) = _importers(server)
    os.kill(importer, signal.SIGSTOP)
    try:
        file.unlink()
        assert [f.level for f in servers.servers(trained)] == ["fail"]
        ready = server.ask("GET", "/readyz")
        assert (ready.status, ready.body["status"]) == (200, "degraded")
        assert "has sent no heartbeat" in ready.body["problems"]["mlkit-log"]
        assert "servers" in {line.check for line in checkup.examine(trained.root).checks}
    finally:
        os.kill(importer, signal.SIGCONT)
    _wait_for(lambda: server.ask("GET", "/readyz").body["status"] == "ready")


def test_without_a_server_there_is_none_to_judge(trained: Project) -> None:
    with locks.exclusive(trained.state_dir / "locks" / "server-1", busy="x"):
        (finding,) = servers.servers(trained)
    assert finding.level == "fail"
    (finding,) = servers.servers(trained)
    assert finding.level == "ok"


def test_a_full_disk_is_a_line_in_the_log_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def act() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    PeriodicThread("mlkit-journal", act, 60.0).call()
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info) == (
        "mlkit-journal: [Errno 28] No space left on device", None
    )  # fmt: skip


def test_a_held_write_lock_keeps_no_token_alive(trained: Project) -> None:
    token = access.create(trained, "used", scope="read")
    control = AccessControl(trained)
    control.refresh()
    environ = {
        "REQUEST_METHOD": "GET",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": f"Bearer {token.token}",
    }
    control.check(environ, "read")
    access.revoke(trained, token.id)
    with closing(sqlite3.connect(trained.root / "ml.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        control.refresh()  # a note of its use waits for the lock, elsewhere
        assert time.monotonic() - began < trained.settings.db.busy_timeout_s / 2
    with pytest.raises(Exception, match="unknown or revoked"):
        control.check(environ, "read")


def test_who_was_long_about_loading_knows_the_tokens_when_it_begins_to_answer(
    trained: Project,
) -> None:
    service = Service(trained)
    service.refresh()
    service.access._read_at -= 60  # as long as the models took
    service.start()
    stale = service.access.stale
    service.stop()
    assert stale == ""


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3), MemoryError()])
def test_a_follower_outlives_what_it_calls(error: BaseException) -> None:
    calls = []

    def act() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error

    thread = PeriodicThread("a thread", act, 0.01)
    thread.call()
    assert thread.trouble == (str(error) or "MemoryError")
    thread.call()
    assert thread.trouble == ""


def test_a_rate_is_kept_by_each_worker_alone_where_the_disk_is_full(
    two_versions: Project, serve: Callable[..., Any]
) -> None:
    """A page of a mapped file without a block behind it ends the process that writes to it."""
    words = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"]
    folder = two_versions.state_dir / "limits"
    folder.unlink(missing_ok=True)
    token = access.create(two_versions, "rated", scope="predict", rate=1000).token
    reader = access.create(two_versions, "reader", scope="read").token
    state = two_versions.state_dir
    kept = {file.name: file.read_bytes() for file in state.iterdir() if file.is_file()}
    if subprocess.run([*words, str(state)], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        for name, content in kept.items():
            (state / name).write_bytes(content)
        with (state / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, 36_000)
        server = serve(two_versions.root, "--workers", "1")
        workers = server.workers()
        for _ in range(5):
            reply = server.ask("POST", "/predict/churn", {"rows": [ROW]}, token=token)
            assert reply.status == 200
        assert server.workers() == workers
        ready = server.ask("GET", "/readyz", token=reader)
        assert (ready.status, ready.body["status"]) == (200, "degraded")
        assert "limits" in ready.body["problems"]
        assert server.stop()[0] == 0
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


def _importers(server: Any) -> list[int]:
    tasks = Path(f"/proc/{server.process.pid}/task")
    found = {int(pid) for file in tasks.glob("*/children") for pid in file.read_text().split()}
    return [pid for pid in found if Path(f"/proc/{pid}/comm").read_text().strip() == "mlkit-log"]


def _ongoing(project: Project) -> set[str]:
    with project.read() as s:
        return {alert.key for alert in alerts.ongoing(s)}


def test_what_cannot_be_told_ends_neither_the_importing_process_nor_readyz(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(import_process.alerting, "raise_alert", fail)
    monkeypatch.setattr(import_process.alerting, "resolve", fail)
    monkeypatch.setattr(feature_state.freshness, "troubles", fail)
    with closing(socket.socket()) as link:
        child = import_process._Child(trained, trained.state_dir, lambda: True, link)
    child._pending_alerts["server:log"] = "it died"
    child._raise_alerts()
    assert child._pending_alerts == {"server:log": "it died"}
    assert not import_process._end_alert(trained)
    assert create_app(trained).test_client().get("/readyz").status_code == 200


def test_a_machine_without_memory_for_a_worker_is_a_start_that_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class NoRoom:
        def start(self) -> None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with closing(listener.bind("127.0.0.1", 0, patience_s=1.0)) as listening:
        assert not listener.SharedServer(listening, target="none")._started(NoRoom())
    assert "a new worker cannot be started: [Errno 11]" in caplog.text


def test_a_database_that_is_gone_is_a_line_in_the_log_wherever_it_is_met(
    trained: Project, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(trained)
    (trained.root / "ml.sqlite").unlink()
    app.extensions[SERVICE].holder._report("churn", "a trouble")
    app.extensions[SERVICE].holder._resolve_alert("churn", 1)
    assert app.test_client().get("/openapi.json").status_code == 200
    lines = [record for record in caplog.records if "ml.sqlite is missing" in record.getMessage()]
    assert len(lines) >= 2
    assert [record for record in caplog.records if record.exc_info] == []
