"""When the log cannot be written or imported: what clients get, and that nothing told is lost."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlkit.flows.log import logs
from mlkit.project import Project, open_project

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
LOCKED_S = float(os.environ.get("MLKIT_TEST_LOCKED_S", "3"))  # 60 for the full length


@pytest.fixture
def small_disk(trained: Project) -> Iterator[Path]:
    """The journal's folder on a disk of 1 MB."""
    folder = trained.journal_dir
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Leave no room on the disk."""
    filler = folder / "filler"
    handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
    size = 0
    for step in (65_536, 4_096):
        try:
            while True:
                os.posix_fallocate(handle, size, step)
                size += step
        except OSError:
            continue
    os.close(handle)
    return filler


def _answers(server: Any, status: int) -> list[str]:
    """Ask until ``status`` comes; return the ids of all that was answered."""
    told: list[str] = []
    end = time.monotonic() + 20
    while True:
        reply = server.predict(*[ROW] * 100)
        if reply.status == 200:
            told += [row["id"] for row in reply.body["predictions"]]
        if reply.status == status:
            return told
        if reply.status != 200:
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            assert "the prediction log" in reply.body["detail"]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_on_a_full_disk_nothing_is_answered_and_then_it_goes_on(
    trained: Project, small_disk: Path, serve: Callable[..., Any]
) -> None:
    server = serve(trained.root, "--workers", "1")
    told = _answers(server, 200)
    filler = _fill(small_disk)
    told += _answers(server, 503)
    ready = server.ask("GET", "/readyz")
    assert (ready.status, ready.body["status"]) == (503, "not ready")
    assert "the prediction log" in ready.body["problems"]["log"]
    filler.unlink()
    _wait_until_ready(server)  # though nobody has asked for a prediction meanwhile
    told += _answers(server, 200)
    assert server.ask("GET", "/livez").status == 200
    server.stop()
    assert set(told) <= set(_logged(trained.root))


def test_a_server_that_nobody_asks_sees_that_the_disk_is_full(
    trained: Project, small_disk: Path, serve: Callable[..., Any]
) -> None:
    server = serve(trained.root, "--workers", "1")
    _wait_until_ready(server)
    filler = _fill(small_disk)
    assert server.ask("GET", "/readyz").status == 503
    filler.unlink()
    _wait_until_ready(server)


def _wait_until_ready(server: Any) -> None:
    end = time.monotonic() + 20
    while server.ask("GET", "/readyz").status != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_where_the_settings_say_so_a_full_disk_costs_the_record_and_not_the_answer(
    trained: Project, small_disk: Path, serve: Callable[..., Any]
) -> None:
    environment = os.environ | {"MLKIT_LOG_ON_FULL": "drop"}
    server = serve(trained.root, "--workers", "1", environment=environment)
    first = _answers(server, 200)
    _fill(small_disk)
    assert server.ask("GET", "/readyz").status == 200
    dropped = 0
    for _ in range(200):
        assert server.predict(ROW).status == 200
        dropped = _metric(server, "mlkit_log_dropped_total")
        if dropped:
            break
        time.sleep(0.05)
    assert dropped
    server.stop()
    assert set(first) <= set(_logged(trained.root))


def test_a_database_that_someone_holds_locked_holds_up_no_answer(
    trained: Project, serve: Callable[..., Any]
) -> None:
    environment = os.environ | {"MLKIT_DB_BUSY_TIMEOUT_S": "0.5"}
    server = serve(trained.root, "--workers", "2", environment=environment)
    with closing(sqlite3.connect(trained.root / "ml.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = []
        end = time.monotonic() + LOCKED_S
        while time.monotonic() < end:
            told += [row["id"] for row in server.predict(ROW, ROW).body["predictions"]]
        posted = server.ask(
            "POST", "/actuals", {"items": [{"prediction_id": told[0], "actual": "no"}]}
        )
        assert (posted.status, posted.headers["Retry-After"]) == (503, "1")
        other.execute("COMMIT")
    posted = server.ask("POST", "/actuals", {"items": [{"prediction_id": told[0], "actual": "no"}]})
    assert posted.status == 200
    server.stop()
    logged = _logged(trained.root)
    assert set(told) <= set(logged)
    assert len(logged) == len(set(logged))


def _metric(server: Any, name: str) -> float:
    text = server.ask("GET", "/metrics").body.decode()
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)
    )


def _logged(root: Path) -> list[str]:
    project = open_project(root, environment={})
    found: list[str] = logs.read(project, "churn").column("_id").to_pylist()
    project.close()
    return found
