"""What only reads works where nothing can be written."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlkit.errors import ConflictError, MlkitError
from mlkit.flows import predict
from mlkit.flows.data import ingest
from mlkit.flows.doctor import checkup
from mlkit.flows.operations import status
from mlkit.project import Project, open_project
from mlkit.store import datasets, schema
from mlkit.store.dialects.sqlite import sqlite_driver

needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


@pytest.fixture
def mounted(trained_root: Path, tmp_path: Path) -> Iterator[Path]:
    """A project on a disk that is mounted read-only."""
    root = tmp_path / "project"
    shutil.copytree(trained_root, root)
    point = tmp_path / "mnt"
    point.mkdir()
    for words in (("--bind", str(root)), ("-o", "remount,ro,bind")):
        done = subprocess.run(["mount", *words, point], check=False, capture_output=True)
        if done.returncode:
            pytest.skip(f"this container mounts nothing: {done.stderr!r}")
    yield point
    subprocess.run(["umount", "-l", point], check=True)


@pytest.mark.usefixtures("warm_loading")
@needs_mount
def test_a_project_on_a_read_only_disk_is_read_and_asked(mounted: Path, tmp_path: Path) -> None:
    project = open_project(mounted, environment={})
    assert status.read(project)
    with project.read() as s:
        assert datasets.list_names(s) == ["churn"]
    rows = tmp_path / "rows.csv"
    rows.write_text("age,plan,spend,active\n30,free,12.5,false\n")
    assert predict.predict(project, "churn", rows, output=tmp_path / "out.csv").rows == 1
    with pytest.raises(MlkitError, match="no column 'churned'"):  # so the file was read
        ingest.validate(project, "churn", rows)
    with pytest.raises(MlkitError, match="cannot be written to: the disk is mounted read-only"):
        _write(project)
    found = checkup.examine(mounted)
    assert [line.found for line in found.checks if line.level == "fail"] == []
    assert any("opened for reading alone" in line.found for line in found.checks)
    project.close()


@needs_mount
def test_what_a_server_has_written_elsewhere_is_seen_through_a_read_only_mount(
    mounted: Path, tmp_path: Path
) -> None:
    file = str(tmp_path / "project" / "ml.sqlite")
    with closing(sqlite_driver().connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE dataset SET name = 'other'")
        project = open_project(mounted, environment={})
        with project.read() as s:
            assert datasets.list_names(s) == ["other"]
        project.close()


@needs_mount
def test_a_project_of_an_earlier_release_has_to_be_upgraded_elsewhere(
    mounted: Path, tmp_path: Path
) -> None:
    file = str(tmp_path / "project" / "ml.sqlite")
    with closing(sqlite_driver().connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("UPDATE alembic_version SET version_num = '0012'")
    with pytest.raises(ConflictError, match="copy the project to a disk where it can"):
        open_project(mounted, environment={})


def test_a_copy_of_the_database_that_finds_no_room_leaves_nothing(trained_root: Path) -> None:
    project = open_project(trained_root, environment={})
    with pytest.raises(MlkitError, match="cannot copy the database to /dev/full"):
        schema.snapshot(project.database, Path("/dev/full/copy.sqlite"))
    project.close()


@needs_mount
def test_a_log_that_nobody_can_read_is_told_of(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "project" / "ml.sqlite-wal").write_bytes(b"x" * 100)
    with pytest.raises(MlkitError, match=r"holds what was not yet written to ml\.sqlite"):
        open_project(mounted, environment={})


def _write(project: Project) -> None:
    with project.write():
        pass
