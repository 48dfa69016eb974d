"""``mlkit init`` and ``mlkit db`` as a user sees them."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sqlalchemy import text

from mlkit.cli.root import cli as root_command
from mlkit.project import Project


def _run(*words: object) -> Result:
    return CliRunner().invoke(root_command, [str(word) for word in words], prog_name="mlkit")


def test_init_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    result = _run("init", tmp_path / "shop")
    assert result.exit_code == 0
    assert "mlkit.toml" in result.output
    assert result.output.rstrip().splitlines()[-3:] == [
        f"  cd {tmp_path / 'shop'}",
        "  mlkit data add NAME FILE.csv --target COLUMN",
        "  mlkit train NAME --data NAME --promote",
    ]


def test_init_refuses_a_project_and_says_so_in_json_too(tmp_path: Path) -> None:
    assert _run("init", tmp_path).exit_code == 0
    result = _run("init", tmp_path, "--json")
    assert result.exit_code == 1
    assert "is a project already" in json.loads(result.stdout)["error"]


def test_db_status_tells_a_current_schema_from_a_newer_one(cli: Any, project: Project) -> None:
    assert cli.json("db", "status")["state"] == "current"
    with project.write() as s:
        s.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    found = cli.json("db", "status")
    assert (found["state"], found["revision"]) == ("newer", "9999")
    assert "newer than this program" in cli.json("db", "upgrade", code=1)["error"]


def test_db_upgrade_migrates_an_empty_database(cli: Any, project: Project) -> None:
    project.close()
    (cli.root / "ml.sqlite").unlink()
    (cli.root / "ml.sqlite").touch()
    assert cli.json("db", "status")["state"] == "older"
    assert cli.json("db", "upgrade")["state"] == "current"
    assert "current" in cli("db", "upgrade").output


def test_db_never_makes_a_lost_database_anew(cli: Any, project: Project) -> None:
    project.close()
    (cli.root / "ml.sqlite").unlink()
    assert "is missing" in cli.json("db", "status", code=1)["error"]
    assert not (cli.root / "ml.sqlite").exists()
