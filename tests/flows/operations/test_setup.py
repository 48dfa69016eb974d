"""A new project: every setting in its file, the jobs, and nothing of the user's touched."""

from pathlib import Path

import pytest

from mlkit.errors import ConflictError
from mlkit.flows.operations import setup
from mlkit.project import open_project
from mlkit.settings import sources, table


def test_the_new_settings_file_shows_every_setting_with_its_default_and_help() -> None:
    text = setup.settings_text()
    for setting in table.table():
        line = f"#{setting.name} = {setup.toml_value(setting.default)}"
        assert f"# {setting.help}\n{line}\n" in text


def test_the_new_settings_file_changes_nothing_whether_commented_or_not(tmp_path: Path) -> None:
    text = setup.settings_text()
    uncommented = "\n".join(
        line[1:] if line.startswith("#") and line[1:2].isalpha() else line
        for line in text.partition("# Where new rows")[0].splitlines()
    )
    for number, content in enumerate((text, uncommented)):
        file = tmp_path / f"{number}.toml"
        file.write_text(content)
        assert sources.load(file) == table.Settings()


@pytest.mark.parametrize("setting", list(table.table()), ids=lambda setting: setting.name)
def test_a_table_may_be_added_to_the_new_settings_file_or_one_line_made_live(
    tmp_path: Path, setting: table.Setting
) -> None:
    section, _, key = setting.name.partition(".")
    line = f"{key} = {setup.toml_value(setting.default)}"
    added = f"{setup.settings_text()}[{section}]\n{line}\n"
    live = setup.settings_text().replace(f"#{setting.name} =", f"{setting.name} =")
    assert live != setup.settings_text()
    for number, content in enumerate((added, live)):
        file = tmp_path / f"{number}.toml"
        file.write_text(content)
        assert sources.load(file) == table.Settings()


def test_a_new_project_opens_and_holds_the_jobs(tmp_path: Path) -> None:
    made = setup.make(tmp_path / "shop", environment={})
    assert made.project == tmp_path / "shop"
    assert {"mlkit.toml", ".gitignore", "ml.sqlite", "jobs/__init__.py"} <= set(made.files)
    opened = open_project(made.project, environment={})
    assert len(opened.key) == 32
    opened.close()


def test_files_of_the_user_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    mine = {
        "rows.csv": "a,b\n",
        "mlkit.toml": "[server]\nport = 9\n",
        "jobs/drift.py": "mine = 1\n",
    }
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    made = setup.make(tmp_path, environment={})
    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    assert not set(mine) & set(made.files)


def test_a_project_is_not_made_twice(tmp_path: Path) -> None:
    setup.make(tmp_path, environment={})
    with pytest.raises(ConflictError, match=r"a project already.*status"):
        setup.make(tmp_path, environment={})


def test_a_file_cannot_become_a_project(tmp_path: Path) -> None:
    (tmp_path / "shop").touch()
    with pytest.raises(ConflictError, match="name a folder"):
        setup.make(tmp_path / "shop", environment={})


def test_what_a_killed_init_left_is_finished_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "mlkit.toml").write_text(setup.settings_text())
    setup.make(tmp_path, environment={})
    open_project(tmp_path, environment={}).close()
