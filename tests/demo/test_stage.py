"""The demo plays in a project of its own, and touches nothing that is somebody's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlkit.demo import stage
from mlkit.demo.stage import LAST_WEEK
from mlkit.errors import ConflictError
from mlkit.project import open_project


def test_the_project_is_complete_and_its_time_is_a_file(tmp_path: Path) -> None:
    with stage.built(tmp_path / "new" / "demo") as built:
        built.clock.set(datetime(2013, 3, 1, tzinfo=UTC))
        assert built.project.now() == datetime(2013, 3, 1, tzinfo=UTC)
        assert built.environment["MLKIT_CLOCK"] == str(built.clock.file)
        assert built.project.settings.model("flights").drift_window == "23d"
    project = open_project(tmp_path / "new" / "demo", environment={})
    assert (project.root / "jobs" / "__init__.py").is_file()
    assert abs(project.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert not built.clock.file.exists()
    project.close()


def test_settings_of_the_callers_shell_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLKIT_RETRAIN_ON", "never")
    monkeypatch.setenv("MLKIT_DB_URL", f"sqlite:///{tmp_path}/other.sqlite")
    with stage.built(tmp_path / "demo") as built:
        assert built.project.settings.retrain.on == "alert"
        assert "MLKIT_DB_URL" not in built.environment
    assert not (tmp_path / "other.sqlite").exists()


def test_the_last_month_is_judged_a_week_before_its_end(tmp_path: Path) -> None:
    with stage.built(tmp_path) as built:
        assert built.upkeep_at(2) == built.month_start(3)
        assert built.upkeep_at(12) == built.month_start(13) - LAST_WEEK


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    stage.refuse_occupied(tmp_path)
    stage.refuse_occupied(tmp_path / "new")


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("mine")
    with (
        pytest.raises(ConflictError, match=r"is not empty; remove it, or name another folder"),
        stage.built(tmp_path),
    ):
        pass
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(".hidden", "mine")]


def test_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ConflictError, match="is a file"):
        stage.refuse_occupied(file)


@pytest.mark.parametrize("name", ["file/demo", "dangling"])
def test_a_folder_that_cannot_be_made_is_an_error_with_its_cause(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    with (
        pytest.raises(ConflictError, match=r"cannot make .*: (Not a directory|File exists)"),
        stage.built(tmp_path / name),
    ):
        pass
