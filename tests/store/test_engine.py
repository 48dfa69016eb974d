"""The engine: pragmas, immediate writers, errors an operator can mend."""

import os
import sqlite3
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from mlkit.errors import BusyError, DamagedError, MlkitError
from mlkit.project import Project
from mlkit.store.dialects import database_errors, json_columns
from mlkit.store.dialects.database_url import sqlite_url
from mlkit.store.engine import Database


def test_every_connection_has_the_safe_pragmas(project: Project) -> None:
    with project.read() as s:
        found = {
            name: s.scalar(text(f"PRAGMA {name}"))
            for name in ("foreign_keys", "trusted_schema", "mmap_size", "secure_delete")
        }
        assert s.scalar(text("PRAGMA synchronous")) == 2
        assert s.scalar(text("PRAGMA application_id")) == 0x6D6C6B74
    assert found == {"foreign_keys": 1, "trusted_schema": 0, "mmap_size": 0, "secure_delete": 1}


def test_a_write_that_fails_leaves_nothing(project: Project) -> None:
    with pytest.raises(RuntimeError), project.write() as s:
        s.execute(text("CREATE TABLE half (done)"))
        raise RuntimeError("power went out")
    with project.read() as s:
        assert s.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'half'")) == 0


def test_a_reader_changes_nothing(project: Project) -> None:
    with project.read() as s:
        s.execute(text("CREATE TABLE scratch (x)"))
    with project.read() as s:
        assert s.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'scratch'")) == 0


def test_a_second_writer_waits_and_then_says_busy(project: Project) -> None:
    other = Database(project.database.url, busy_timeout_s=0.05)
    with project.write(), pytest.raises(BusyError, match="locked"), other.write():
        pass
    other.dispose()


def test_two_writers_take_turns(project: Project) -> None:
    with project.write() as s:
        s.execute(text("CREATE TABLE counter (n INTEGER)"))
        s.execute(text("INSERT INTO counter VALUES (0)"))

    def add() -> None:
        for _ in range(25):
            with project.write() as s:
                n = s.scalar(text("SELECT n FROM counter")) or 0
                s.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with project.read() as s:
        assert s.scalar(text("SELECT n FROM counter")) == 100


def test_a_password_in_the_url_never_reaches_an_error_message() -> None:
    database = Database("sqlite:////nowhere/at/all.sqlite")
    with pytest.raises(MlkitError, match=r"/nowhere/at/all\.sqlite"), database.read() as s:
        s.execute(text("SELECT 1"))


@pytest.mark.parametrize(
    ("free", "way_out"), [(0, "the disk is full: make room"), (1 << 40, "the kernel's messages")]
)
def test_an_error_of_the_disk_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, way_out: str
) -> None:
    """On a full disk SQLite cannot begin its shared memory, and calls that an I/O error."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free, f_frsize=1))
    error = OperationalError("SELECT 1", None, sqlite3.OperationalError("disk I/O error"))
    found = database_errors.translated(error, str(tmp_path / "ml.sqlite"))
    assert way_out in str(found)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_a_value_that_was_never_written_is_damage(text: str) -> None:
    with pytest.raises(DamagedError, match="not as it was recorded"):
        json_columns.load(text)


def test_a_server_that_is_down_is_an_error_of_ours() -> None:
    database = Database("postgresql+psycopg://mlkit:secret@127.0.0.1:1/shop")
    with (
        pytest.raises(BusyError, match=r"cannot reach the database 127\.0\.0\.1:1/shop: conn"),
        database.read() as s,
    ):
        s.execute(text("SELECT 1"))


def test_many_who_wait_for_the_write_lock_keep_nobody_from_reading(project: Project) -> None:
    """Tokens are read beside them: a server that cannot read those answers nothing."""
    begun, results = threading.Barrier(25), []

    def write() -> None:
        begun.wait()
        try:
            with project.write():
                results.append("written")
        except BusyError:
            results.append("busy")

    writers = [threading.Thread(target=write) for _ in range(24)]
    for writer in writers:
        writer.start()
    with project.write():
        begun.wait()
        time.sleep(0.3)
        started = time.monotonic()
        with project.read() as s:
            assert s.scalar(text("SELECT 1")) == 1
        took_s = time.monotonic() - started
    for writer in writers:
        writer.join()
    assert took_s < 1.0
    assert len(results) == 24


def test_a_database_of_something_else_is_damage_and_no_bug(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "other.sqlite"))
    words = r"not the database of this project.*no such table"
    with pytest.raises(DamagedError, match=words), database.read() as s:
        s.scalar(text("SELECT 1 FROM token"))
    database.dispose()
