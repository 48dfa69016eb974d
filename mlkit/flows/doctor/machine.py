"""Checks of the machine: the SQLite library and the disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from mlkit.flows.doctor.findings import Finding, fail, ok, warn
from mlkit.project import Project, refuse_missing_database
from mlkit.store.dialects import soundness
from mlkit.store.dialects.sqlite import sqlite_driver, wal_is_safe

_GB = 1 << 30


def sqlite(project: Project) -> Iterator[Finding]:
    """Check the SQLite library, and that connections use the safe settings."""
    if not project.database.is_sqlite:
        yield ok(f"not used; the database is {project.database.location}")
        return
    refuse_missing_database(project)
    driver = sqlite_driver()
    version = driver.sqlite_version
    safe = wal_is_safe(driver.sqlite_version_info)
    if safe:
        yield ok(f"SQLite {version} has the fix of the WAL-reset bug")
    else:
        yield warn(
            f"SQLite {version} can lose commits in WAL mode, so a slower rollback journal is used",
            "install the wheel pysqlite3 (Linux x86-64), or a Python with SQLite 3.51.3 or newer",
        )
    if project.database.is_read_only:
        yield warn(
            f"{project.database.location} is opened for reading alone, its folder takes nothing",
            "mount the disk for writing, or see whose folder it is",
        )
        return
    wanted = {"journal_mode": "wal" if safe else "delete", "synchronous": "2", "foreign_keys": "1"}
    with project.read() as s:
        for name, value in wanted.items():
            found = soundness.pragma(s, name)
            if found != value:
                yield fail(f"PRAGMA {name} is {found}, not {value}", "is the disk read-only?")


def disk(project: Project) -> Iterator[Finding]:
    """Check the free space: a gigabyte, and twice the database for a backup."""
    free = shutil.disk_usage(project.root).free
    database = Path(project.database.location)
    size = database.stat().st_size if project.database.is_sqlite and database.is_file() else 0
    said = f"{free / _GB:.1f} GiB free, database {size / _GB:.2f} GiB"
    if free < _GB // 10:
        yield fail(said, "make room now: predictions are refused when nothing can be logged")
    elif free < max(_GB, 2 * size):
        yield warn(said, "make room: a backup needs as much again as the project")
    else:
        yield ok(said)
