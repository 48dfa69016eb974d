"""The doctor sees each fault, names it, and says how to mend it."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mlkit.flows.doctor import checkup, clocks, machine
from mlkit.flows.doctor.checkup import Checked
from mlkit.flows.operations import backup
from mlkit.project import Project
from mlkit.steps.predictors import artifacts, own_modules
from mlkit.store import audit, engine, runs
from mlkit.store.alerts import Alert, AlertDelivery
from mlkit.store.base import new_id
from mlkit.store.disk import blobs, processes
from mlkit.store.registry import ModelVersion

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def sound(furnished: Project, warm_loading: None) -> Project:  # loading is quick
    """The furnished project as the command line makes it: for its owner alone."""
    for path in (furnished.root, *furnished.root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    backup.create(furnished)
    return furnished


def _lines(project: Project, check: str) -> list[Checked]:
    return [line for line in checkup.examine(project.root).checks if line.check == check]


def _only(project: Project, check: str) -> Checked:
    (line,) = _lines(project, check)
    return line


def _sql(project: Project, statement: str) -> None:
    with project.write() as s:
        s.execute(text(statement))


def test_a_sound_project_has_nothing_to_mend_but_a_clock_to_choose(sound: Project) -> None:
    found = checkup.examine(sound.root)
    assert {
        line.check for line in found.checks
    } == checkup.CHECKS.keys() | checkup.ROW_CHECKS.keys()
    assert [line.check for line in found.checks if line.level != "ok"] == ["clocks"]
    assert found.level == "warn"


def _flip_artifact(project: Project) -> None:
    (file,) = project.artifacts.root.glob("??/*.joblib")
    file.write_bytes(b"other")


def _lose_reference(project: Project) -> None:
    (file,) = project.references.root.glob("??/*.npz")
    file.unlink()


def _broken_timetable(project: Project) -> None:
    (project.root / "jobs").mkdir(exist_ok=True, mode=0o700)
    (project.root / "jobs" / "__init__.py").write_text("TIMETABLE = (")


def _rules(content: bytes) -> Callable[[Project], None]:
    def write(project: Project) -> None:
        project.schemas_dir.mkdir(exist_ok=True)
        (project.schemas_dir / "churn.yaml").write_bytes(content)

    return write


def _rules_are_a_fifo(project: Project) -> None:
    project.schemas_dir.mkdir(exist_ok=True)
    os.mkfifo(project.schemas_dir / "churn.yaml", 0o600)


def _rules_lead_nowhere(project: Project) -> None:
    project.schemas_dir.mkdir(exist_ok=True)
    (project.schemas_dir / "churn.yaml").symlink_to("churn.yaml")


def _other_key(project: Project) -> None:
    (project.state_dir / "key").write_text("00" * 32)


def _lose_data(project: Project) -> None:
    (file,) = project.data.root.glob("??/*")
    file.unlink()


def _change_segment(project: Project) -> None:
    (file,) = project.log_dir.glob("churn/*/*.parquet")
    file.write_bytes(b"more")


def _edit_history(project: Project) -> None:
    _sql(project, "DROP TRIGGER audit_event_no_change")
    _sql(project, "UPDATE audit_event SET actor = 'nobody'")


def _forget_history(project: Project) -> None:
    with project.write() as s:
        audit.record(s, project.now(), actor="t", action="a", subject="x", details={})
    _sql(project, "DROP TRIGGER audit_event_no_delete")
    _sql(project, "DELETE FROM audit_event WHERE seq = 1")


def _future(project: Project) -> None:
    with project.write() as s:
        then = project.now() + timedelta(days=1)
        audit.record(s, then, actor="t", action="a", subject="x", details={})


def _readable_key(project: Project) -> None:
    (project.state_dir / "key").chmod(0o644)


def _writable_folder(project: Project) -> None:
    project.root.chmod(0o777)


def _shared_folder(project: Project) -> None:
    os.chown(project.root, -1, 12_345)
    project.root.chmod(0o770)


def _writable_module(project: Project) -> None:
    (project.root / "features.py").touch()
    (project.root / "features.py").chmod(0o606)


def _writable_artifacts(project: Project) -> None:
    next(project.artifacts.root.glob("??/*.joblib")).parent.chmod(0o707)


def _writable_data(project: Project) -> None:
    project.data.root.parent.chmod(0o707)


def _given_away(project: Project) -> None:
    os.chown(project.root / "ml.sqlite", 12_345, -1)


def _lose_key(project: Project) -> None:
    (project.state_dir / "key").unlink()


@pytest.mark.parametrize(
    ("sabotage", "check", "said"),
    [
        (_broken_timetable, "timetable", "jobs/__init__.py is no Python: "),
        (_rules(b"columns: ["), "rules", "schemas/churn.yaml.* line 1"),
        (_rules(b"columns: {age: {dtype: nonsense}}"), "rules", "schemas/churn.yaml.* 'nonsense'"),
        (_rules(b"columns: {\xff"), "rules", "schemas/churn.yaml is not UTF-8"),
        (_rules(b"[" * 9_000), "rules", "schemas/churn.yaml"),
        (_rules_are_a_fifo, "rules", "schemas/churn.yaml is no file"),
        (_rules_lead_nowhere, "rules", "schemas/churn.yaml"),
        (_flip_artifact, "models", "the champion: .* does not have the bytes"),
        (_lose_reference, "models", "is missing"),
        (_other_key, "models", "signature was not made with this project's key"),
        (_lose_key, "key", "missing or damaged"),
        (_lose_data, "data", "churn@1: .* is missing"),
        (_change_segment, "data", "log segment .* is changed"),
        (_edit_history, "audit trail", "event 1 does not follow"),
        (_forget_history, "audit trail", "event 1 does not follow"),
        (_future, "clock", "the newest row is of"),
        (_readable_key, "permissions", "other users may use"),
        (_writable_folder, "permissions", "all users may change"),
        (_writable_module, "permissions", "all users may change .*features.py"),
        (_writable_artifacts, "permissions", "all users may change .*artifacts/sha256/.."),
        (_writable_data, "permissions", "all users may change .*data"),
        pytest.param(
            _given_away, "permissions", "ml.sqlite belongs to the user 12345", marks=root_only
        ),
    ],
)
def test_what_hurts_now_fails(
    sound: Project, sabotage: Callable[[Project], None], check: str, said: str
) -> None:
    sabotage(sound)
    found = checkup.examine(sound.root)
    assert found.level == "fail"
    line = next(line for line in found.checks if line.check == check)
    assert line.level == "fail"
    assert re.search(said, line.found)


def _part(project: Project) -> None:
    file = project.data.scratch()
    file.touch()
    _age(file)


def _orphan(project: Project) -> None:
    _age(project.artifacts.path(project.artifacts.put(b"nobody's")))


def _age(file: Path) -> None:
    """Let a file be two days old: nobody is at work on it any more."""
    then = time.time() - 2 * 86_400
    os.utime(file, (then, then))


def _damaged_journal(project: Project) -> None:
    project.journal_dir.mkdir()
    (project.journal_dir / f"{new_id(project.now())}.journal.damaged").touch()


def _old_backup(project: Project) -> None:
    for file in backup.list_backups(project):
        os.utime(file, (0, 0))


def _no_backup(project: Project) -> None:
    for file in backup.list_backups(project):
        file.unlink()


def _older_library(project: Project) -> None:
    _sql(project, """UPDATE model_version SET packages = '{"scikit-learn": "0.19.2"}'""")


def _failed_run(project: Project) -> None:
    with project.write() as s:
        run = runs.claim(s, "drift", project.now(), runner=processes.identity(), now=project.now())
        assert run is not None
        runs.finish(s, run.id, "failed", "no such column", project.now())


def _vanished_run(project: Project) -> None:
    gone = processes.identity(2**22 + 1)  # above every pid of Linux
    with project.write() as s:
        runs.claim(s, "retrain", project.now(), runner=gone, now=project.now())


def _stuck_message(project: Project) -> None:
    now = project.now()
    with project.write() as s:
        alert = Alert(
            key="drift:churn", kind="drift", severity="warning", summary="drift", details={},
            opened_at=now, last_seen_at=now,
        )  # fmt: skip
        s.add(AlertDelivery(alert=alert, event="opened", sink="webhook", attempts=3, error="404"))


@pytest.mark.parametrize(
    ("sabotage", "check", "said"),
    [
        pytest.param(_shared_folder, "permissions", "the group 12345 may change", marks=root_only),
        (_part, "leftovers", "1 files that nothing needs"),
        (_orphan, "leftovers", "1 files that nothing needs"),
        (_damaged_journal, "journals", "1 damaged journals"),
        (_old_backup, "backups", "1 backups, the newest"),
        (_no_backup, "backups", "no backup"),
        (_older_library, "libraries", "trained with scikit-learn 0.19.2"),
        (_failed_run, "jobs", "drift: last run failed: no such column"),
        (_vanished_run, "jobs", "retrain: its runner vanished"),
        (_stuck_message, "alerts", "1 messages were not delivered by webhook: 404"),
    ],
)
def test_what_will_hurt_one_day_warns_and_says_how_to_mend_it(
    sound: Project, sabotage: Callable[[Project], None], check: str, said: str
) -> None:
    sabotage(sound)
    line = _only(sound, check)
    assert line.level == "warn"
    assert said in line.found
    assert line.fix


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer than this program"),
        ("UPDATE alembic_version SET version_num = '0000'", "this program needs"),
    ],
)
def test_rows_are_not_read_through_another_schema(
    sound: Project, statement: str, said: str
) -> None:
    _sql(sound, statement)
    found = checkup.examine(sound.root)
    assert said in _only(sound, "database").found
    assert not {line.check for line in found.checks} & checkup.ROW_CHECKS.keys()


def test_a_damaged_or_missing_database_is_a_finding(sound: Project) -> None:
    sound.close()
    file = sound.root / "ml.sqlite"
    file.write_bytes(b"not a database" * 1000)
    assert "is damaged" in _only(sound, "database").found
    file.unlink()
    assert "is missing" in _only(sound, "database").found
    assert not file.exists()


def test_an_sqlite_with_the_wal_bug_is_named(
    sound: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound.close()
    monkeypatch.setattr(machine, "wal_is_safe", lambda _version: False)
    monkeypatch.setattr(engine, "wal_is_safe", lambda _version: False)
    line = _only(sound, "sqlite")
    assert line.level == "warn"
    assert "rollback journal" in line.found


def test_little_disk_warns_and_none_fails(sound: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = machine.shutil.disk_usage(sound.root)
    for free, level in ((5 << 30, "ok"), (500 << 20, "warn"), (1 << 20, "fail")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _p, f=free: usage._replace(free=f))
        assert _only(sound, "disk").level == level


def test_a_clock_whose_program_is_gone_runs_nothing(
    sound: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"-m mlkit --project {sound.root} job run drift"
    crontab = tmp_path / "crontab"
    crontab.write_text(f"#!/bin/sh\necho '5 1 * * * /gone/venv/bin/python {words} --due slot'\n")
    crontab.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(clocks, "_UNIT_FOLDERS", (tmp_path,))
    unit = f"[Unit]\nDescription=x of {sound.root}\n[Service]\nExecStart=/gone/too/python {words}\n"
    (tmp_path / "mlkit-x-drift.service").write_text(unit)
    with _running("cron", tmp_path):
        found = [each.found for each in clocks.clocks(sound)]
    assert found == [
        "cron is to run the jobs by /gone/venv/bin/python, which is not there",
        "systemd is to run the jobs by /gone/too/python, which is not there",
    ]


def test_two_clocks_are_one_too_many(
    sound: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_text(f"#!/bin/sh\necho '5 1 * * * mlkit --project {sound.root} job run drift'\n")
    crontab.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with _running("cron", tmp_path):
        assert _only(sound, "clocks").found == "cron runs the jobs"
    line = _only(sound, "clocks")
    assert (line.level, line.found) == (
        "warn",
        "cron has the jobs of this project but does not run",
    )
    assert "start cron" in line.fix
    with _running("cron", tmp_path), sound.lock("daemon", busy=""):
        line = _only(sound, "clocks")
    assert line.level == "warn"
    assert line.found.startswith("the daemon and cron run the jobs")


@contextmanager
def _running(name: str, folder: Path) -> Iterator[None]:
    """Run a process that is called ``name``, as a cron daemon is."""
    program = folder / name
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
        program.unlink()


def test_the_lines_of_a_neighbour_are_no_clock_of_this_project(
    sound: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_text(f"#!/bin/sh\necho '5 1 * * * mlkit --project {sound.root}-2 job run x'\n")
    crontab.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with _running("cron", tmp_path):
        assert _only(sound, "clocks").found == "nothing seen that runs the jobs"


def test_systemd_timers_of_this_project_are_a_clock(
    sound: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocks, "_UNIT_FOLDERS", (tmp_path,))
    monkeypatch.setattr(clocks, "_SYSTEMD", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\ncat {tmp_path}/state\n")
    (tmp_path / "systemctl").chmod(0o755)
    (tmp_path / "state").write_text("active\n")
    for name, root in (("mine", sound.root), ("other", "/srv/other")):
        timer = tmp_path / f"mlkit-{name}-drift.timer"
        timer.write_text(f"[Unit]\nDescription=When mlkit job drift of {root}\n")
        expected = "systemd timers runs the jobs"
        assert _only(sound, "clocks").found == expected
    (tmp_path / "state").write_text("inactive\n")  # the files are there, and nobody enabled them
    line = _only(sound, "clocks")
    assert line.found == "systemd timers has the jobs of this project but does not run"
    assert line.fix == "systemctl enable --now mlkit-mine-drift.timer"


def _edited_golden(project: Project) -> None:
    _sql(project, "UPDATE model_version SET golden = '{}'")


def _hanging(project: Project) -> None:
    (project.root / "mlkit.toml").write_text("[server]\nload_s = 1\n")
    _own(project, "import time\ndef slow():\n    time.sleep(600)\n", "slow")


def _ending(project: Project) -> None:
    _own(project, "import os\ndef end():\n    print('here', flush=True)\n    os.abort()\n", "end")


def _own(project: Project, text: str, name: str) -> None:
    """Make an artifact that calls ``name`` when it is loaded."""
    source = own_modules.Source("own_part.py", text.encode())
    code = own_modules.OwnCode("mlkit_own_test", {"own_part": source})
    own_modules.OwnModules(code, project.root).start()
    function = getattr(importlib.import_module("mlkit_own_test.own_part"), name)

    class Loaded:
        def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
            return function, ()

    with project.write() as s:
        version = s.get_one(ModelVersion, 1)
        made = artifacts.loads(project.artifacts.read(version.artifact_sha256))
        made.estimator = Loaded()
        version.artifact_sha256 = project.artifacts.put(artifacts.dumps(made, code))
        version.signature = blobs.sign(project.key, "churn", 1, version.artifact_sha256)


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        (_edited_golden, "cannot be asked its golden rows"),
        (_hanging, "loading takes longer than 1 s"),
        (_ending, "ends the process (exit code -6)"),
    ],
)
def test_a_champion_that_cannot_be_loaded_is_a_failure(
    sound: Project,
    sabotage: Callable[[Project], None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlkit.flows.doctor.loadable.sys", sys)  # it hangs, or is aborted
    sabotage(sound)
    line = _only(sound, "models")
    assert line.level == "fail"
    assert line.found.startswith("churn v1, the champion, cannot be loaded: ")
    assert said in line.found
    assert line.fix == "mlkit model rollback churn, or train again: mlkit retrain churn"


def test_code_that_has_changed_since_the_training_is_told(sound: Project) -> None:
    (sound.root / "mine.py").write_text("CAP = 12")
    with sound.write() as s:
        s.get_one(ModelVersion, 1).code = {"files": {"mine.py": "0" * 64}}
    line = _only(sound, "code")
    assert (line.level, "mine.py" in line.found) == ("warn", True)
    with sound.write() as s:
        s.execute(text("UPDATE model_version SET code = NULL, estimator = 'mine:build'"))
    assert "trained before code was kept" in _only(sound, "code").found


def test_a_crontab_and_units_in_another_encoding_are_read(
    sound: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"# caf\xe9\n5 1 * * * mlkit --project {sound.root} job run drift\n"
    (tmp_path / "lines").write_bytes(lines.encode("latin-1"))
    crontab = tmp_path / "crontab"
    crontab.write_text(f"#!/bin/sh\ncat {tmp_path}/lines\n")
    crontab.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(clocks, "_UNIT_FOLDERS", (tmp_path,))
    (tmp_path / "mlkit-x-drift.timer").write_bytes(b"Description=caf\xe9\n")
    (tmp_path / "mlkit-y-drift.timer").symlink_to("mlkit-y-drift.timer")
    with _running("cron", tmp_path):
        assert _only(sound, "clocks").found == "cron runs the jobs"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("x = 1", "must define TIMETABLE"),
        (
            "from mlkit.timetable import Job\nTIMETABLE = (Job('a', run=str, at='61 * * * *'),)",
            "'61 * * * *' is never due",
        ),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_timetable_that_no_clock_could_load_is_named_by_the_command(
    sound: Project, cli: Any, text: str, said: str
) -> None:
    (sound.root / "jobs").mkdir(exist_ok=True, mode=0o700)
    (sound.root / "jobs" / "__init__.py").write_text(text)
    found = cli.json("doctor", code=3)
    (line,) = (each for each in found["checks"] if each["check"] == "timetable")
    assert line["level"] == "fail"
    assert said in line["found"]
    assert "no job runs" in line["found"]
