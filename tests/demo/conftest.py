"""A month to draw, a year that was really played, and the real flights."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from mlkit.demo import flights
from mlkit.demo.story import Month, Raised, Requests, Story

ROWS, SEED = 600, 3


class Played(NamedTuple):
    """What one run of ``mlkit demo --json`` has said and left."""

    code: int
    stdout: str
    stderr: str
    root: Path
    rows: int = ROWS
    seed: int = SEED

    @property
    def story(self) -> dict[str, Any]:
        """The document on stdout."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Played:
    """One real run, made by the first process that wants it; to look at, not to change.

    ``untouched`` beside its project is a copy that nobody has open.

    The variables of its environment and the taken port must not matter to it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "played"
    shared.mkdir(exist_ok=True)
    note = shared / "run.json"
    with (shared / "lock").open("w") as lock, socket.create_server(("127.0.0.1", 0)) as taken:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            note.write_text(json.dumps(_run(shared / "project", taken.getsockname()[1])))
            shutil.copytree(shared / "project", shared / "untouched")
    return Played(*json.loads(note.read_text()), shared / "project")


def _run(root: Path, port: int) -> tuple[int, str, str]:
    """Run the demo as a user whose shell is set up for quite another project."""
    words = ["demo", "--dir", str(root), "--rows", str(ROWS), "--seed", str(SEED), "--json"]
    elsewhere = {
        "MLKIT_PROJECT": "/nowhere",
        "MLKIT_DB_URL": "postgresql+psycopg://nobody@127.0.0.1:1/nothing",
        "MLKIT_SERVER_PORT": str(port),
        "MLKIT_RETRAIN_ON": "never",
        "MLKIT_LOG_DURABILITY": "off",
    }
    done = subprocess.run(
        [sys.executable, "-m", "mlkit", *words],
        env={**os.environ, **elsewhere},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def left_behind(played: Played, tmp_path: Path) -> Path:
    """A copy of the project that the demo left, to be changed at will."""
    root = tmp_path / "left-behind"
    shutil.copytree(played.root.with_name("untouched"), root)
    return root


@pytest.fixture(scope="session")
def year() -> pa.Table:
    """Every flight of 2013 as the demo reads it."""
    return flights.read(flights.folder()).flights


@pytest.fixture(scope="session")
def weather() -> pa.Table:
    """The weather of every hour of 2013 as the demo reads it."""
    return flights.read(flights.folder()).weather


def make_month(number: int = 2, **changes: Any) -> Month:
    """Return a month in which drift led to v2."""
    usual: dict[str, Any] = {
        "month": number,
        "rows": 3000,
        "mae_live": 9.24,
        "mae_frozen": 9.24,
        "drift": "input drift",
        "drifted": ("pressure",),
        "diagnosis": "inputs moved (pressure) and the error did not: watch",
        "alerts": (Raised("drift", "v1 drift in pressure (0.39)"),),
        "action": "promoted",
        "version": 2,
        "reason": "beats v1: mae 8.86 against 11.9, difference -3.1 [-3.8, -2.3]",
    }
    return Month(**{**usual, **changes})


@pytest.fixture(scope="session")
def month() -> Callable[..., Month]:
    """``make_month``, for tests that want other months."""
    return make_month


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A short year: February mends v1, March is quiet."""
    quiet = make_month(
        3,
        mae_live=8.04,
        mae_frozen=12.55,
        drift="nothing",
        drifted=(),
        diagnosis="",
        alerts=(),
        action="none",
        reason="no alert",
    )
    return Story(
        months=(make_month(), quiet),
        requests=Requests(sent=1234, failed=0, meanwhile=56),
        versions=2,
        project=tmp_path / "a <b> & 'c'",
        report=tmp_path / "report.html",
        model_page=tmp_path / "report-flights.html",
        mae_january=8.25,
        slowest_swap_s=0.31,
        seconds=41.6,
    )
