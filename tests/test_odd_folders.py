"""A project works in a folder of any name, and touches nothing outside of it."""

import shutil
from pathlib import Path

import pytest

from mlkit.errors import InvalidInputError
from mlkit.flows import predict
from mlkit.flows.data import ingest
from mlkit.flows.data.query_source import QuerySource
from mlkit.flows.doctor import checkup
from mlkit.flows.operations import backup, restore, setup
from mlkit.project import Project, create_project, open_project
from mlkit.store import datasets
from mlkit.store.dialects.sqlite import sqlite_driver

ODD = ("a%2Fb", "z%41", "q?x", "C#", 'it\'s "$HOME" b@c;d&e=1', "a:b", "x?mode=memory", "ü日 [x]*")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def _names(project: Project) -> list[str]:
    with project.read() as s:
        return datasets.list_names(s)


@pytest.fixture
def neighbours(trained_root: Path, tmp_path: Path) -> Path:
    """A folder with what the odd names mean to one who reads them as part of a URL."""
    folder = tmp_path / "work"
    for name in ("a", "zA", "q", "C", "x"):
        (folder / name).mkdir(parents=True)
        shutil.copy(trained_root / "ml.sqlite", folder / name)
        shutil.copy(trained_root / "ml.sqlite", folder / f"{name}.sqlite")
    (folder / "a" / "b").mkdir()
    return folder


@pytest.mark.usefixtures("warm_loading")
@pytest.mark.parametrize("name", ODD)
def test_rows_backup_and_restored_project_are_those_of_the_folder(
    neighbours: Path, name: str
) -> None:
    before = _files(neighbours)
    root = neighbours / name
    setup.make(root, environment={})
    (root / "t.csv").write_text("a,b\n1,2\n3,4\n")
    project = open_project(root, environment={})
    ingest.add(project, "mine", root / "t.csv")
    made = backup.create(project, root / "b.tar")
    assert restore.verify(made.file).members == made.members
    restore.restore(made.file, neighbours / f"{name} back")
    back = open_project(neighbours / f"{name} back", environment={})
    assert _names(back) == _names(project) == ["mine"]
    assert [line.found for line in checkup.examine(root).checks if line.level == "fail"] == []
    for each in (project, back):
        each.close()
    for folder in (root, back.root):
        assert (folder / "ml.sqlite").is_file()
        shutil.rmtree(folder)
    assert _files(neighbours) == before


@pytest.mark.parametrize("name", ["a%2Fb", "q?x", "C#", "50% of 'my' $HOME"])
def test_a_model_learns_and_a_query_is_asked_in_an_odd_folder(
    trained_root: Path, tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    shutil.copytree(trained_root, root)
    project = open_project(root, environment={})
    rows = root / "rows.csv"
    rows.write_text("age,plan,spend,active\n30,free,12.5,false\n")
    assert predict.predict(project, "churn", rows, output=root / "out.csv").rows == 1
    connection = sqlite_driver().connect(str(root / "shop.db"))
    with connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n UNION SELECT 2")
    connection.close()
    ingest.add(project, "shop", QuerySource("sqlite:///shop.db", "SELECT n FROM t", root))
    with project.read() as s:
        assert datasets.get_version(s, "shop").rows == 2
    project.close()


def test_a_database_that_the_settings_name_lies_where_they_say(tmp_path: Path) -> None:
    root = tmp_path / "a%2Fb"
    root.mkdir()
    (root / "mlkit.toml").write_text('[db]\nurl = "sqlite:///other.sqlite"\n')
    create_project(root, environment={}).close()
    assert (root / "other.sqlite").is_file()


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b[31mb", "a\x9bb", b"a\xff".decode("utf-8", "surrogateescape")]
)
def test_a_name_that_no_line_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"a project cannot lie in '.*name another folder"):
        setup.make(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_name_is_no_text_is_refused(trained: Project, tmp_path: Path) -> None:
    odd = tmp_path / "k=\udcff"
    odd.mkdir()
    (odd / "rows.csv").write_text("a,b\n1,2\n")
    for act in (
        lambda: ingest.add(trained, "d", odd / "rows.csv"),
        lambda: backup.create(trained, odd / "b.tar"),
        lambda: restore.restore(odd / "b.tar", tmp_path / "new"),
    ):
        with pytest.raises(InvalidInputError, match="is not UTF-8; rename it"):
            act()
    assert [file.name for file in odd.iterdir()] == ["rows.csv"]
