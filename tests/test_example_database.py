"""``ml.sqlite.example``: rebuilt it is the same, it has rows everywhere, and commands show them."""

import importlib.util
import math
import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlkit.cli.root import cli
from mlkit.store import audit, schema
from mlkit.store.dialects.sqlite import sqlite_driver
from mlkit.store.engine import Database

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "ml.sqlite.example"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the example, for what would change it."""
    return Path(shutil.copy(EXAMPLE, tmp_path / "ml.sqlite"))


def _rows(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite_driver().connect(f"file:{file}?mode=ro", uri=True)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        return {
            name: connection.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608  # its own names
            for (name,) in names.fetchall()
        }


def _alike(old: Any, new: Any) -> bool:
    """Compare cells; the last digits of a number depend on the machine's libraries."""
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=0.05, abs_tol=0.05)
    if isinstance(old, str) and isinstance(new, str):
        number = re.compile(r"-?\d+\.\d+(e-?\d+)?|\b[0-9a-f]{64}\b|[0-9a-f]{8}-[0-9a-f-]{27}")
        return number.sub("#", old) == number.sub("#", new)
    return bool(old == new)


def test_the_story_played_again_gives_the_same_rows(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "example_database", ROOT / "examples" / "example_database.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.build(tmp_path / "again.sqlite")
    old, new = _rows(EXAMPLE), _rows(tmp_path / "again.sqlite")
    assert old.keys() == new.keys()
    for name, rows in old.items():
        assert len(rows) == len(new[name]), name
        for row, again in zip(rows, new[name], strict=True):
            for cell, cell_again in zip(row, again, strict=True):
                assert _alike(cell, cell_again), (name, cell, cell_again)


def test_it_is_small_migrated_and_has_rows_in_every_table(copy: Path) -> None:
    assert EXAMPLE.stat().st_size < 400_000
    rows = _rows(EXAMPLE)
    assert {table.name for table in schema.metadata.sorted_tables} <= rows.keys()
    assert [name for name, found in rows.items() if not found] == []
    database = Database(f"sqlite:///{copy}")
    assert schema.revision(database) == schema.head()
    with database.read() as s:
        assert audit.first_break(s) is None
    database.dispose()


def test_it_tells_no_place_of_the_machine_that_wrote_it() -> None:
    content = EXAMPLE.read_bytes()
    assert b"/tmp/" not in content
    assert b"/home/" not in content


def test_as_the_database_of_a_project_it_is_shown_by_the_commands(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["init", str(tmp_path / "shop")]).exit_code == 0
    shutil.copy(EXAMPLE, tmp_path / "shop" / "ml.sqlite")
    for words, said in (
        ("status", "churn"),
        ("data list", "churn"),
        ("model list", "churn"),
        ("model show churn", "v2"),
        ("model history churn", "rollback"),
        ("model compare churn 1 2", "log_loss"),
        ("log show churn --limit 3", "2026-09-06"),
        ("alert list --all", "drift in plan"),
        ("job history", "retrain"),
        ("token list", "shop-frontend"),
        ("db status", "current"),
    ):
        result = runner.invoke(cli, ["--project", str(tmp_path / "shop"), *words.split()])
        assert result.exit_code == 0, (words, result.output)
        assert said in result.output, (words, result.output)
