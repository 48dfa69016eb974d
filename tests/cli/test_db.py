"""``mlkit db``: which schema a database has, and bringing it to that of the program."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlkit.project import Project
from mlkit.store import schema
from mlkit.store.dialects.sqlite import sqlite_driver


def _set_revision(project: Project, revision: str | None) -> None:
    project.close()
    file = project.root / "ml.sqlite"
    with closing(sqlite_driver().connect(file)) as connection:
        connection.execute("DELETE FROM alembic_version")
        if revision is not None:
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()


def test_a_new_project_is_current(cli: Any) -> None:
    assert f"{schema.head()} (current" in cli("db", "status").stdout
    document = cli.json("db", "status")
    assert (document["state"], document["revision"]) == ("current", schema.head())
    assert cli.json("db", "upgrade")["state"] == "current"


def test_a_database_newer_than_the_program_is_refused_and_left_alone(
    project: Project, cli: Any
) -> None:
    _set_revision(project, "9999")
    before = (project.root / "ml.sqlite").read_bytes()
    assert "9999 (newer" in cli("db", "status").stdout
    for words in (("db", "upgrade"), ("status",), ("data", "list")):
        refused = cli(*words, code=1)
        assert "9999" in refused.stderr
        assert "newer" in refused.stderr
    assert (project.root / "ml.sqlite").read_bytes() == before


def test_an_emptied_database_is_begun_anew_by_nothing_but_db_upgrade(
    project: Project, cli: Any
) -> None:
    project.close()
    for file in project.root.glob("ml.sqlite*"):
        file.unlink()
    (project.root / "ml.sqlite").touch()
    assert "empty (older" in cli("db", "status").stdout
    assert "ml.sqlite is empty; restore it" in cli("data", "list", code=1).output
    cli("db", "upgrade")
    assert cli.json("data", "list") == []
    assert f"{schema.head()} (current" in cli("db", "status").stdout


@pytest.mark.parametrize("content", [b"this is no database at all" * 99, b"SQLite format 3\0" * 64])
def test_what_is_no_database_is_named(project: Project, cli: Any, content: bytes) -> None:
    project.close()
    for file in project.root.glob("ml.sqlite-*"):
        file.unlink()
    (project.root / "ml.sqlite").write_bytes(content)
    for words in (("db", "status"), ("status",)):
        refused = cli(*words, code=1)
        assert "ml.sqlite" in refused.stderr
        assert "Traceback" not in refused.output


def test_a_database_that_another_process_holds_is_busy(
    project: Project, cli: Any, tmp_path: Path, churn_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLKIT_DB_BUSY_TIMEOUT_S", "0.1")
    file = project.root / "ml.sqlite"
    with closing(sqlite_driver().connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        refused = cli("data", "add", "churn", churn_csv, code=4)
        assert "locked by another process; try again" in refused.stderr
        assert cli.json("data", "list") == []
        holder.execute("ROLLBACK")
    cli("data", "add", "churn", churn_csv)


def test_the_completion_script_of_bash_completes(cli: Any, tmp_path: Path) -> None:
    import subprocess
    import sys

    for shell in ("bash", "zsh", "fish"):
        assert "_MLKIT_COMPLETE" in cli("completion", shell).stdout
    cli("completion", "tcsh", code=2)
    if shutil.which("bash") is None:
        pytest.skip("this machine has no bash")
    program = tmp_path / "mlkit"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mlkit "$@"\n')
    program.chmod(0o755)
    script = f"""
    PATH={tmp_path}:$PATH
    eval "$(mlkit completion bash)"
    COMP_WORDS=(mlkit ba) COMP_CWORD=1
    _mlkit_completion mlkit ba mlkit 2>/dev/null
    echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "backup"
