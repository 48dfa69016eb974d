"""A model that hangs, and a crowd that waits for the database, leave threads to all others."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlkit.project import Project, open_project
from mlkit.server.app import SERVICE, create_app
from mlkit.server.concurrency import ConcurrencyLimits
from mlkit.server.problems import RefusedError

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False, "since": "2026-01-01T00:00:00Z"}


@contextmanager
def _crowd(ask: Callable[[], Any], count: int = 12) -> Iterator[None]:
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    yield
    for thread in threads:
        thread.join()


def test_a_crowd_of_actuals_that_wait_leaves_threads_to_others(
    trained: Project, serve: Callable[..., Any]
) -> None:
    (trained.root / "mlkit.toml").write_text("[server]\nthreads = 8\n[db]\nbusy_timeout_s = 3\n")
    server = serve(trained.root, "--workers", "1")
    items = [{"prediction_id": server.predict(ROW).body["predictions"][0]["id"], "actual": "no"}]
    statuses: list[int] = []
    with closing(sqlite3.connect(trained.root / "ml.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with _crowd(
            lambda: statuses.append(server.ask("POST", "/actuals", {"items": items}).status)
        ):
            began = time.monotonic()
            assert server.ask("GET", "/livez").status == 200
            assert server.ask("GET", "/readyz").body["status"] == "ready"
            assert server.predict(ROW).status == 200
            assert time.monotonic() - began < 2
            other.execute("ROLLBACK")
    assert set(statuses) == {200, 503}


def test_one_thing_has_half_of_the_threads_and_some_are_for_nobody() -> None:
    limits = ConcurrencyLimits(16)
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(limits.slot("a"))
        with pytest.raises(RefusedError, match="a: 8 requests wait for it already"):
            held.enter_context(limits.slot("a"))
        for _ in range(6):
            held.enter_context(limits.slot("b"))
        with pytest.raises(RefusedError, match="c: 14 requests wait already"):
            held.enter_context(limits.slot("c"))
    assert [limits.full(name) for name in "abc"] == ["", "", ""]


def test_readiness_tells_of_a_model_that_too_many_wait_for(two_models: Path) -> None:
    project = open_project(two_models, environment={"MLKIT_SERVER_THREADS": "8"})
    app = create_app(project)
    limits = app.extensions[SERVICE]._limits
    with ExitStack() as held:
        for model, count, status in (("churn", 4, 200), ("zebra", 3, 503)):
            for _ in range(count):
                held.enter_context(limits.slot(model))
            found = app.test_client().get("/readyz")
            assert found.status_code == status
            assert model in found.json["problems"]
    assert app.test_client().get("/readyz").json["problems"] == {}
    project.close()
