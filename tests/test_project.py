"""A project opens, upgrades after a backup, refuses what it does not understand."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from mlkit.errors import BusyError, ConflictError, DamagedError, InvalidInputError, NotFoundError
from mlkit.project import Project, create_project, find_root, open_project
from mlkit.store import schema
from mlkit.store.dialects.sqlite import sqlite_driver


def test_a_new_project_has_an_empty_migrated_database_and_a_secret_key(project: Project) -> None:
    assert schema.revision(project.database) == schema.head()
    mode = stat.S_IMODE((project.state_dir / "key").stat().st_mode)
    assert len(project.key) == 32
    assert mode == 0o600


def test_the_nearest_folder_upward_with_settings_is_the_project(project: Project) -> None:
    deep = project.root / "a" / "b"
    deep.mkdir(parents=True)
    assert find_root(deep) == project.root.resolve()


def test_outside_of_any_project_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="mlkit init"):
        find_root(tmp_path)


def test_a_folder_without_settings_is_not_a_project(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not a project"):
        open_project(tmp_path, environment={})


def test_a_folder_that_azure_ml_mounts_is_the_project_or_holds_it(project: Project) -> None:
    for mount in (project.root, project.root.parent):
        found = open_project(environment={"AZUREML_MODEL_DIR": str(mount)})
        assert found.root == project.root.resolve()


def test_a_project_that_is_named_goes_before_the_mounted_one(project: Project) -> None:
    environment = {"MLKIT_PROJECT": str(project.root), "AZUREML_MODEL_DIR": "/nowhere"}
    assert open_project(environment=environment).root == project.root.resolve()


def test_a_second_creation_is_refused(project: Project) -> None:
    with pytest.raises(ConflictError, match="exists already"):
        create_project(project.root, environment={})


def test_a_lost_database_is_not_silently_made_anew(project: Project) -> None:
    project.close()
    (project.root / "ml.sqlite").unlink()
    with pytest.raises(NotFoundError, match="backup restore"):
        open_project(project.root, environment={})


def test_a_database_of_a_later_release_is_refused(project: Project) -> None:
    with project.write() as s:
        s.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConflictError, match=r"9999, newer than this program"):
        open_project(project.root, environment={})


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlkit.toml").touch()
    connection = sqlite_driver().connect(str(tmp_path / "ml.sqlite"))
    connection.execute("CREATE TABLE customers (id)")
    connection.close()
    with pytest.raises(ConflictError, match="another program"):
        open_project(tmp_path, environment={})


def test_a_file_that_is_no_database_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "mlkit.toml").touch()
    (tmp_path / "ml.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(DamagedError, match="backup restore"):
        open_project(tmp_path, environment={})


def test_a_database_that_was_emptied_is_not_silently_begun_anew(project: Project) -> None:
    project.close()
    file = project.root / "ml.sqlite"
    file.write_bytes(b"")
    for _ in range(2):  # the look itself makes a first page
        with pytest.raises(NotFoundError, match=r"is empty; restore it.*mlkit db upgrade"):
            open_project(project.root, environment={})


def test_an_older_database_is_backed_up_and_upgraded_on_open(tmp_path: Path) -> None:
    (tmp_path / "mlkit.toml").touch()
    connection = sqlite_driver().connect(str(tmp_path / "ml.sqlite"))
    connection.executescript(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);"
        "INSERT INTO alembic_version VALUES ('');"
    )
    connection.execute("DELETE FROM alembic_version")
    connection.commit()
    connection.close()
    opened = open_project(tmp_path, environment={})
    assert schema.revision(opened.database) == schema.head()
    opened.close()


def test_the_clock_can_be_a_file_for_replays(project: Project, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2013-02-01T00:00:00+00:00\n")
    opened = open_project(project.root, environment={"MLKIT_CLOCK": str(clock)})
    assert opened.now() == datetime(2013, 2, 1, tzinfo=UTC)
    assert abs(project.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_clock_that_tells_no_time_is_refused(project: Project, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("half past nine")
    for wrong in ("nowhere", str(clock)):
        with pytest.raises(InvalidInputError, match="MLKIT_CLOCK"):
            open_project(project.root, environment={"MLKIT_CLOCK": wrong})


def test_a_lock_is_held_by_one(project: Project) -> None:
    with (
        project.lock("train", busy="someone trains already"),
        pytest.raises(BusyError, match="someone trains already"),
        project.lock("train", busy="someone trains already"),
    ):
        pass
    with project.lock("train", busy="free again"):
        pass


def test_a_lost_key_is_reported(project: Project) -> None:
    (project.state_dir / "key").unlink()
    with pytest.raises(DamagedError, match="signing key"):
        assert project.key
