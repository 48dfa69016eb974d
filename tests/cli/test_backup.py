"""``mlkit backup`` and ``mlkit doctor`` as a user sees them: messages, JSON, exit codes."""

from pathlib import Path
from typing import Any

from mlkit.project import Project


def test_backup_verify_and_restore(furnished: Project, cli: Any, tmp_path: Path) -> None:
    made = cli.json("backup", "create")
    assert made["size_bytes"] == Path(made["file"]).stat().st_size
    assert "is sound" in cli("backup", "verify", made["file"]).output
    target = tmp_path / "again"
    assert f"restored {target}" in cli("backup", "restore", made["file"], "--to", target).output
    refused = cli.json("backup", "restore", made["file"], "--to", target, code=1)
    assert "not empty" in refused["error"]
    done = cli("backup", "restore", made["file"], "--to", target, "--replace")
    assert "what was there before is in" in done.output


def test_a_damaged_backup_is_exit_code_3(furnished: Project, cli: Any) -> None:
    file = Path(cli.json("backup", "create")["file"])
    content = bytearray(file.read_bytes())
    place = content.rfind(b"segment")
    content[place] ^= 1
    file.write_bytes(content)
    assert "damaged" in cli.json("backup", "verify", file, code=3)["error"]


def test_the_doctor_prints_fixes_and_fails_with_3(furnished: Project, cli: Any) -> None:
    (furnished.state_dir / "key").chmod(0o644)
    found = cli.json("doctor", code=3)
    assert found["level"] == "fail"
    assert {"check", "level", "found", "fix"} == set(found["checks"][0])
    text = cli("doctor", code=3).output
    assert f"fix: chmod go= {furnished.state_dir / 'key'}" in text


def test_the_doctor_works_where_no_other_command_does(project: Project, cli: Any) -> None:
    project.close()
    (project.root / "ml.sqlite").unlink()
    assert "is missing" in cli("doctor", code=3).output
