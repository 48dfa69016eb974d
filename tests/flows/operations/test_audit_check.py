"""What is changed behind the back of the audit trail, taken back or lost, is seen."""

import shutil
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mlkit.errors import CheckFailedError, DamagedError, InvalidInputError
from mlkit.flows.doctor import checkup
from mlkit.flows.operations import access, audit_check, backup
from mlkit.project import Project, open_project
from mlkit.store import audit, covers, erasures, schema, trail
from mlkit.store.baselines import Baseline
from mlkit.store.dialects import append_only
from mlkit.store.dialects.sqlite import sqlite_driver
from mlkit.store.disk import system_log, witness
from mlkit.store.erasures import Erasure
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport

pytestmark = pytest.mark.usefixtures("warm_loading")
_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"


def _sql(project: Project, *statements: str) -> None:
    """Change the database as a stranger with the file does."""
    project.close()
    file = project.database.location
    with closing(sqlite_driver().connect(file, isolation_level=None)) as connection:
        triggers = connection.execute(_TRIGGERS).fetchall()
        for statement in (*(f"DROP TRIGGER {name}" for name, _ in triggers), *statements):
            connection.execute(statement)
        for _, made in triggers:
            connection.execute(made)


def _record(project: Project, count: int = 1) -> None:
    for _ in range(count):
        with project.write() as s:
            audit.record(s, project.now(), actor="t", action="a", subject="x", details={})


def _count(project: Project, number: int) -> None:
    """Commit something that is not in the audit trail."""
    with project.write() as s:
        s.execute(text("UPDATE dataset_version SET erased_rows = :n"), {"n": number})


def _judge(project: Project) -> None:
    """Write a report of each kind, as the checks do."""
    now = project.now()
    with project.write() as s:
        version = s.get_one(ModelVersion, 1)
        said: dict[str, Any] = {
            "model_id": version.model_id, "model_version_id": version.id, "window_start": now,
            "window_end": now, "verdict": "drift", "summary": "v1", "details": {"verdict": "drift"},
            "created_at": now,
        }  # fmt: skip
        s.add(DriftReport(**said, reference_rows=9, current_rows=9))
        s.add(PerformanceReport(**said, rows=9, coverage=0.5))
        made = {"sha256": "ab", "created_by": "t", "created_at": now, "versions": [1], "rows": 9}
        s.add(Baseline(model_id=1, name="may", window_start=now, window_end=now, **made))


def _erase(project: Project) -> None:
    """Remember a subject, and later that its rows are gone."""
    now = project.now()
    with project.write() as s:
        s.add(Erasure(dataset_id=1, subject="ff", reason="", asked_by="t", asked_at=now))
    with project.write() as s:
        erasures.finish(s, 1, now)


def test_a_project_at_work_has_no_fault(furnished: Project) -> None:
    token = access.create(furnished, "shop").id
    access.revoke(furnished, token)
    _record(furnished, 3)
    assert audit_check.faults(furnished) == []
    assert audit_check.verify(furnished).events == 6


_COPIED = (
    "CREATE TEMP TABLE one AS SELECT * FROM model_version",
    "UPDATE one SET id = 9, number = 9",
    "INSERT INTO model_version SELECT * FROM one",
)
_DEPLOYED = (
    "INSERT INTO deployment (id, model_id, model_version_id, role, share, started_at, action, "
    "actor, reason, evidence) SELECT 8, model_id, model_version_id, 'champion', 1.0, started_at, "
    "'promote', 'me', 'sure', '{}' FROM deployment LIMIT 1"
)
_NUMBER = "UPDATE commit_count SET number = {}"
_ENDED = "UPDATE deployment SET ended_at = '2026-01-01 00:00:00.000000'"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ((_ENDED, _DEPLOYED), "deployment 8 is in no event .* somebody added it"),
        ((_ENDED,), "deployment 1 did not end when the next one began"),
        (("UPDATE deployment SET evidence = '{\"a\": 1}'",), "deployment 1 is not as recorded"),
        (("DELETE FROM deployment",), "deployment 1 is gone"),
        (_COPIED, "model version 9 is in no event"),
        (("UPDATE model_version SET verdict = '{\"accepted\": false}'",), "model version 1 is not"),
        (("UPDATE model_version SET artifact_sha256 = 'ab'",), "model version 1 is not"),
        (("UPDATE model_version SET metrics = '{}'",), "model version 1 is not"),
        (("UPDATE dataset_version SET sha256 = 'ab'",), "dataset version 1 is not as recorded"),
        (("UPDATE dataset_version SET transformation = '{\"url\": \"x\"}'",), "dataset version 1"),
        (("UPDATE dataset_version SET collected_at = created_at",), "dataset version 1 is not as"),
        (("UPDATE dataset_version SET source_sha256 = 'ab'",), "dataset version 1 is not as"),
        (("UPDATE dataset_version SET rows = 1",), "dataset version 1 is not as recorded"),
        (("UPDATE dataset_version SET profile = '{}'",), "dataset version 1 is not"),
        (("UPDATE baseline SET window_start = '2025-01-01 00:00:00'",), "baseline 1 is not as"),
        (("UPDATE baseline SET answers_of = 7",), "baseline 1 is not as recorded"),
        (("UPDATE model SET task = 'regression'",), "model 1 is not as recorded"),
        (("UPDATE dataset SET entity_column = 'age'",), "dataset 1 is not as recorded"),
        (("UPDATE dataset SET target = 'age'",), "dataset 1 is not as recorded"),
        (("UPDATE drift_report SET verdict = 'ok'",), "drift report 1 is not as recorded"),
        (("UPDATE drift_report SET standing = 0",), "drift report 1 is not as recorded"),
        (("DELETE FROM drift_report",), "drift report 1 is gone"),
        (
            ("UPDATE performance_report SET details = json_set(details, '$.verdict', 'ok')",),
            "performance report 1 is not as recorded",
        ),
        (("UPDATE erasure SET done_at = NULL",), "erasure 1 is not as recorded"),
        (("UPDATE erasure SET subject = 'ab'",), "erasure 1 is not as recorded"),
        (("DELETE FROM erasure",), "erasure 1 is gone"),
        (("UPDATE token SET scope = 'admin'",), "token .* is not as recorded"),
        (("UPDATE token SET expires_at = NULL, rate = 9",), "token .* is not as recorded"),
        (("DELETE FROM token",), "token .* is gone"),
        (
            ("INSERT INTO token SELECT 'mine', name, scope, sha256, created_at, revoked_at, models,"
             " rate, expires_at, last_used_at FROM token",),
            "token mine is in no event",
        ),
        (("UPDATE audit_event SET actor = 'me' WHERE seq = 2",), "event 2 does not follow"),
        (("UPDATE audit_event SET covers = NULL WHERE seq = 1",), "event 1 does not follow"),
        (("DELETE FROM audit_event WHERE seq = 1",), "event 1 does not follow"),
        (("DELETE FROM audit_event WHERE seq = 7",), "ends at event 6, and event 7 was there"),
        (("DELETE FROM audit_event",), "ends at event 0"),
    ],
)  # fmt: skip
def test_a_change_by_sql_is_seen(
    furnished: Project, statements: tuple[str, ...], said: str
) -> None:
    access.create(furnished, "shop", expires="7d")
    _judge(furnished)
    _erase(furnished)
    _record(furnished, 2)
    assert audit_check.faults(furnished) == []
    _sql(furnished, *statements)
    with pytest.raises(CheckFailedError, match=said):
        audit_check.verify(furnished)
    with pytest.raises(DamagedError, match="mlkit audit seal"):
        audit_check.refuse(furnished)
    lines = [line for line in checkup.examine(furnished.root).checks if line.check == "audit trail"]
    assert lines[0].level == "fail"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TRIGGER audit_event_no_change", "the trigger audit_event_no_change is gone"),
        (
            "CREATE TRIGGER fine AFTER INSERT ON drift_report BEGIN "
            "UPDATE drift_report SET verdict = 'ok'; END",
            "the trigger fine is added",
        ),
        (
            'CREATE TRIGGER "a""b" AFTER INSERT ON audit_event BEGIN '
            "UPDATE token SET scope = 'admin'; END",
            'the trigger a"b is added',
        ),
    ],
)
def test_a_trigger_that_would_change_rows_before_they_go_on_record_is_seen(
    furnished: Project, statement: str, said: str
) -> None:
    furnished.close()
    with closing(sqlite_driver().connect(furnished.database.location)) as connection:
        connection.execute(statement)
    assert said in audit_check.faults(furnished)[0]
    audit_check.seal(furnished, "tried it")
    _judge(furnished)
    assert audit_check.faults(furnished) == []
    with furnished.read() as s:
        assert s.get_one(DriftReport, 1).verdict == "drift"


_INDEX = "name = 'uq_deployment_current_champion'"


def test_an_index_that_says_something_else_than_the_rows_is_seen(
    furnished: Project, cli: Any
) -> None:
    write, where = "PRAGMA writable_schema = ON", f"sqlite_master WHERE {_INDEX}"
    kept = f"CREATE TABLE kept AS SELECT * FROM {where}"  # noqa: S608  # its own words
    ended = "UPDATE deployment SET ended_at = {}"
    _sql(furnished, ended.format("started_at"), kept, write, f"DELETE FROM {where}")  # noqa: S608
    back = "INSERT INTO sqlite_master SELECT * FROM kept"
    _sql(furnished, ended.format("NULL"), write, back, "DROP TABLE kept")
    assert "v1" not in cli("model", "list").stdout  # the index hides it
    (said,) = audit_check.faults(furnished)
    assert said.startswith("the indexes of the table deployment do not say what its rows do")
    audit_check.seal(furnished, "tried it")
    assert audit_check.faults(furnished) == []
    assert "v1" in cli("model", "list").stdout


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("erasure", "UNIQUE (dataset_id, subject)", "UNIQUE (dataset_id) ON CONFLICT IGNORE"),
        ("token", "sha256 VARCHAR(64)", "sha256 VARCHAR(64) COLLATE NOCASE"),
        ("token", "revoked_at DATETIME", "revoked_at DATETIME AS (NULL)"),
    ],
)
def test_a_table_that_drops_or_makes_up_what_is_written_is_seen(
    furnished: Project, table: str, old: str, new: str
) -> None:
    words = f"replace(sql, '{old}', '{new}') WHERE name = '{table}'"
    edit = f"UPDATE sqlite_master SET sql = {words}"  # noqa: S608  # its own words
    _sql(furnished, "PRAGMA writable_schema = ON", edit)
    said = f"the table {table} is not as it was made: restore a backup"
    assert said in audit_check.faults(furnished)


def test_a_view_in_place_of_a_table_is_seen(furnished: Project) -> None:
    _sql(
        furnished, "PRAGMA legacy_alter_table = ON", "ALTER TABLE token RENAME TO tokens",
        "CREATE VIEW token AS SELECT * FROM tokens WHERE revoked_at IS NULL",
    )  # fmt: skip
    assert audit_check.faults(furnished) == [
        "the table token is not as it was made: restore a backup"
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("drift_report.verdict", "x'ff00'"),
        ("drift_report.details", "x'ff00'"),
        ("drift_report.details", "CAST(x'ff41' AS TEXT)"),
        ("model_version.estimator", "x'ff00'"),
        ("model_version.seed", "x'ff00'"),
        ("model_version.verdict", "CAST(x'ff41' AS TEXT)"),
        ("audit_event.actor", "x'ff00'"),
        ("audit_event.details", "CAST(x'ff41' AS TEXT)"),
        ("commit_count.number", "'many'"),
        ("commit_count.number", "-5"),
        ("commit_count.lost", "9e999"),
        ("commit_count.lost", "x'ff00'"),
    ],
)
def test_a_value_that_could_not_be_is_a_fault_and_no_bug(
    furnished: Project, cli: Any, column: str, value: str
) -> None:
    _judge(furnished)
    table, _, name = column.partition(".")
    _sql(furnished, f"UPDATE {table} SET {name} = {value}")  # noqa: S608  # of the table above
    done = cli("audit", "verify", code=None)
    lost = column == "commit_count.lost"  # what is no number counts nothing
    assert done.exit_code in ((0,) if lost else (1, 3))
    assert done.exception is None or isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("statement", ["DELETE FROM commit_count", _NUMBER.format("9e30")])
def test_a_count_of_commits_that_is_gone_stops_no_writer_and_is_told(
    furnished: Project, statement: str
) -> None:
    _sql(furnished, statement)
    _record(furnished, 2)
    assert "commits to the database are gone" in audit_check.faults(furnished)[0]
    audit_check.seal(furnished, "counted anew")
    assert audit_check.faults(furnished) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = ''",
        "UPDATE alembic_version SET version_num = x'ff00'",
        "UPDATE alembic_version SET version_num = '0000'",
        "UPDATE alembic_version SET version_num = '0003_alert_life_cycle'",
    ],
)
def test_a_database_that_does_not_have_the_schema_it_names_is_an_error_with_a_way_out(
    furnished: Project, cli: Any, statement: str
) -> None:
    _sql(furnished, statement)
    done = cli("status", code=1)
    assert "schema" in done.stderr
    assert "restore a backup" in done.stderr


def _rewrite(s: Session, key: bytes | None) -> None:
    """Make the whole trail anew, as who knows the program and not the key would."""
    previous = audit.GENESIS
    with append_only.lifted(s, "audit_event"):
        for each in list(audit.events(s)):
            each.actor = "mallory"
            each.previous = previous
            each.covers = None
            each.hash = each.plain_digest() if key is None else each.digest(key)
            previous = each.hash
    s.commit()


@pytest.mark.parametrize("key", [None, b"another key"])
def test_a_chain_that_is_made_anew_without_the_key_is_seen(
    furnished: Project, key: bytes | None
) -> None:
    _record(furnished, 2)
    _sql(furnished)
    with furnished.database.write() as s:
        _rewrite(s, key)
    assert "event 1 does not follow" in audit_check.faults(furnished)[0]
    assert "event 3 is another one than was witnessed" in audit_check.faults(furnished)[1]


def _copy(project: Project, place: Path) -> Path:
    schema.snapshot(project.database, place)
    return place


def _put_back(project: Project, old: Path) -> None:
    project.close()
    for end in ("-wal", "-shm"):
        Path(f"{project.database.location}{end}").unlink(missing_ok=True)
    shutil.copy(old, project.database.location)


def test_an_old_database_that_is_put_back_is_seen_and_stays_seen(
    furnished: Project, tmp_path: Path
) -> None:
    old = _copy(furnished, tmp_path / "old.sqlite")
    _record(furnished, 3)
    _put_back(furnished, old)
    assert "event 4 was there" in audit_check.faults(furnished)[0]
    _record(furnished, 9)  # the trail is longer now than it was
    assert "event 4 is another one than was witnessed" in audit_check.faults(furnished)[0]


def test_an_old_database_without_new_events_is_seen_by_its_commits(
    furnished: Project, tmp_path: Path
) -> None:
    old = _copy(furnished, tmp_path / "old.sqlite")
    for number in range(5):
        _count(furnished, number)
    _put_back(furnished, old)
    assert "5 commits to the database are gone" in audit_check.faults(furnished)[0]
    for number in range(9):  # later ones do not hide them
        _count(furnished, number)
    assert "5 commits to the database are gone" in audit_check.faults(furnished)[0]


def test_lost_commits_are_accepted_at_the_first_word(furnished: Project, tmp_path: Path) -> None:
    old = _copy(furnished, tmp_path / "old.sqlite")
    for number in range(5):
        _count(furnished, number)
    _put_back(furnished, old)
    audit_check.seal(furnished, "restored by hand")
    assert audit_check.faults(furnished) == []


def test_an_old_database_with_its_old_witness_is_seen_by_a_newer_backup(
    furnished: Project, tmp_path: Path
) -> None:
    old = _copy(furnished, tmp_path / "old.sqlite")
    shutil.copytree(furnished.state_dir, tmp_path / "old-state")
    _record(furnished, 2)
    made = backup.create(furnished)
    _put_back(furnished, old)
    shutil.rmtree(furnished.state_dir)
    shutil.copytree(tmp_path / "old-state", furnished.state_dir)
    (fault,) = audit_check.faults(furnished)
    assert f"event 3 of the backup {made.file.name} is not in the audit trail" in fault


def test_an_event_that_the_systems_log_knows_must_be_there(furnished: Project) -> None:
    _record(furnished)
    found = audit_check.verify(furnished)
    assert audit_check.verify(furnished, f"{found.events}:{found.hash}") == found
    for wrong in (f"{found.events}:{'0' * 64}", f"{found.events + 1}:{found.hash}"):
        with pytest.raises(CheckFailedError, match="is not in the audit trail"):
            audit_check.verify(furnished, wrong)
    with pytest.raises(InvalidInputError, match="NUMBER:HASH"):
        audit_check.verify(furnished, "seven")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.unlink(), "there is no witness"),
        (lambda file: file.write_text("{}"), "cannot be read"),
        (
            lambda file: file.write_text(file.read_text().replace('"seq":2', '"seq":1')),
            "was not written with this project's key",
        ),
    ],
)
def test_a_witness_that_is_gone_or_changed_is_a_fault_until_a_person_accepts_it(
    furnished: Project, change: Callable[[Path], object], said: str
) -> None:
    _record(furnished)
    change(furnished.state_dir / witness.FILE)
    assert said in audit_check.faults(furnished)[0]
    audit_check.seal(furnished, "lost it")
    assert audit_check.faults(furnished) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\0" * 84),
        lambda file: file.write_text("00000000000000000001\n"),
        lambda file: file.write_bytes(file.read_bytes().replace(b"3", b"1", 1)),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_count_of_commits_that_is_gone_or_changed_stays_a_fault_until_a_person_accepts_it(
    furnished: Project, change: Callable[[Path], object]
) -> None:
    _record(furnished, 2)
    file = furnished.state_dir / witness.COMMITS
    assert file.read_bytes()[:20] == b"%020d" % 3
    change(file)
    for _ in range(2):
        assert "commits has no number of the last commit" in audit_check.faults(furnished)[0]
        if file.is_dir():
            file.rmdir()
        _record(furnished)  # which does not hide it
    audit_check.seal(furnished, "lost it")
    _record(furnished)
    assert audit_check.faults(furnished) == []
    assert audit_check.verify(furnished).commits == 7


def test_without_the_key_rows_are_written_all_the_same_and_no_fault_stays(
    furnished: Project,
) -> None:
    key = furnished.state_dir / "key"
    text = key.read_text()
    key.unlink()
    _count(furnished, 3)
    key.write_text(text)
    assert audit_check.faults(furnished) == []


def test_what_others_commit_and_back_up_during_a_check_is_no_fault(
    furnished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_break = audit.first_break

    def meanwhile(*args: Any) -> int | None:
        found = first_break(*args)
        with closing(open_project(furnished.root, environment={})) as other:
            _record(other)
            backup.create(other)
        return found

    monkeypatch.setattr(audit, "first_break", meanwhile)
    assert audit_check.faults(furnished) == []


def test_a_witness_that_is_behind_after_a_kill_is_no_fault(furnished: Project) -> None:
    _record(furnished)
    before = (furnished.state_dir / witness.FILE).read_bytes()
    commits = (furnished.state_dir / witness.COMMITS).read_bytes()
    _record(furnished, 2)
    (furnished.state_dir / witness.FILE).write_bytes(before)
    (furnished.state_dir / witness.COMMITS).write_bytes(commits)
    assert audit_check.verify(furnished).events == 4
    assert (furnished.state_dir / witness.FILE).read_bytes() != before  # it has caught up


def test_what_is_accepted_is_on_record_and_the_next_change_is_seen(furnished: Project) -> None:
    _record(furnished, 2)
    _sql(
        furnished,
        "DELETE FROM audit_event WHERE seq = 2",
        "UPDATE model_version SET verdict = '{}'",
    )
    with pytest.raises(InvalidInputError, match="--reason"):
        audit_check.seal(furnished, " ")
    audit_check.seal(furnished, "mended by hand")
    with furnished.read() as s:
        last = audit.last_event(s)
    assert last is not None
    assert last.details["reason"] == "mended by hand"
    assert "event 2 does not follow" in last.details["faults"][0]
    _record(furnished)
    assert audit_check.faults(furnished) == []
    _sql(furnished, "UPDATE audit_event SET actor = 'me' WHERE seq = 1")
    assert f"event {last.seq} does not follow" in audit_check.faults(furnished)[0]


def test_rows_that_change_without_an_event_get_one(furnished: Project) -> None:
    from mlkit.store.registry import Model

    with furnished.write() as s:
        s.get_one(Model, 1).task = "regression"
    with furnished.read() as s:
        last = audit.last_event(s)
    assert last is not None
    assert (last.action, last.subject) == ("change", "model:1")
    assert audit_check.faults(furnished) == []


def test_the_trail_of_an_earlier_release_is_sealed_as_it_stands(
    furnished: Project, migrate: Callable[[Session, str], None], tmp_path: Path
) -> None:
    key = (furnished.state_dir / "key").read_bytes()
    _make_old(furnished)
    again = open_project(furnished.root, environment={})
    assert audit_check.faults(again) == []
    assert key == (again.state_dir / "key").read_bytes()
    with again.read() as s:
        first, last = s.get_one(audit.AuditEvent, 1), audit.last_event(s)
    assert first.hash == first.plain_digest()
    assert last is not None
    assert (last.seq, last.action, last.details["events"]) == (2, "seal", 1)
    assert {"deployment:1", "model_version:1", "dataset_version:1"} <= set(last.covers or ())
    _sql(again, "UPDATE audit_event SET actor = 'me' WHERE seq = 1")
    assert "event 2 does not follow" in audit_check.faults(again)[0]
    again.close()


def _call_older(project: Project, release: str, *statements: str) -> None:
    """Say that the database is one of an earlier release."""
    said = f"UPDATE alembic_version SET version_num = '{release}'"  # noqa: S608  # ours
    _sql(project, said, *statements)


def test_what_the_release_before_did_not_cover_is_covered_by_an_upgrade(
    furnished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {k: v for k, v in covers._COLUMNS.items() if k not in (DriftReport, PerformanceReport)}
    with monkeypatch.context() as patched:
        patched.setattr(covers, "_COLUMNS", kept)
        _judge(furnished)
    _call_older(furnished, "0016_trail")
    file = furnished.state_dir / witness.COMMITS
    file.write_bytes(file.read_bytes()[:20] + b"\n")
    with closing(open_project(furnished.root, environment={})) as again:
        with again.read() as s:
            last = audit.last_event(s)
        assert last is not None
        assert set(last.covers or ()) == {"drift_report:1", "performance_report:1"}
        assert audit_check.faults(again) == []
        _sql(again, "UPDATE drift_report SET verdict = 'ok'")
        (fault,) = audit_check.faults(again)
        assert fault == "drift report 1 is not as recorded: somebody edited it"


@pytest.mark.parametrize(
    ("release", "statements"),
    [
        ("0016_trail", ()),
        (
            "0015_model_code",
            ("ALTER TABLE audit_event DROP COLUMN covers", "DROP TABLE commit_count"),
        ),
    ],
)
def test_who_calls_a_database_an_old_one_does_not_get_it_accepted(
    furnished: Project, release: str, statements: tuple[str, ...]
) -> None:
    _judge(furnished)
    _call_older(furnished, release, "UPDATE drift_report SET verdict = 'ok'", *statements)
    with closing(open_project(furnished.root, environment={})) as again:
        assert audit_check.faults(again) != []


def _make_old(project: Project) -> None:
    """Turn the project into one of the release before the seal."""
    _sql(project)
    with project.database.write() as s:
        _rewrite(s, None)
    project.close()
    (project.state_dir / witness.FILE).unlink()
    (project.state_dir / witness.COMMITS).unlink()
    _sql(
        project,
        "ALTER TABLE audit_event DROP COLUMN covers",
        "DROP TABLE commit_count",
        "UPDATE alembic_version SET version_num = '0015_model_code'",
    )


def test_an_upgrade_that_was_killed_before_the_seal_is_finished_by_the_next_command(
    furnished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_old(furnished)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trail, "seal", die)
        with pytest.raises(KeyboardInterrupt):
            open_project(furnished.root, environment={})
    with closing(open_project(furnished.root, environment={})) as again:
        assert audit_check.faults(again) == []


def test_a_server_does_not_start_on_a_database_with_a_fault(furnished: Project, cli: Any) -> None:
    _record(furnished)
    _sql(furnished, "UPDATE model_version SET verdict = '{}'")
    done = cli("serve", "--port", "0", code=1)
    assert "model version 1 is not as recorded" in done.stderr


def test_the_command_line_verifies_and_seals(furnished: Project, cli: Any) -> None:
    assert cli.json("audit", "verify")["events"] == 1
    _sql(furnished, "UPDATE model_version SET verdict = '{}'")
    found = cli.json("audit", "verify", code=3)
    assert "model version 1 is not as recorded" in found["faults"][0]
    cli("audit", "seal", code=2)
    assert cli.json("audit", "seal", "--reason", "a test")["events"] == 2
    cli("audit", "verify")


def test_each_event_is_told_to_the_systems_log(
    furnished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "log"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as log:
        log.bind(str(place))
        send = system_log.send
        monkeypatch.setattr(system_log, "send", lambda said: send(said, place))
        _record(furnished)
        line = log.recv(2000).decode()
    with furnished.read() as s:
        last = audit.last_event(s)
    assert last is not None
    assert line == (f"<85>mlkit: audit {furnished.root} event {last.seq} {last.hash} a by t")


def test_a_system_without_a_log_is_no_trouble(tmp_path: Path) -> None:
    system_log.send("nobody hears it", tmp_path / "none")


# The write-ahead log

COMMITS = 20


@pytest.fixture
def unmerged(furnished: Project, tmp_path: Path) -> Callable[[], Path]:
    """A copy of a project of which 20 commits are in the write-ahead log alone, made anew."""
    files = [furnished.root / f"ml.sqlite{end}" for end in ("", "-wal")]
    furnished.close()
    with closing(open_project(furnished.root, environment={})) as project, project.read() as held:
        held.execute(text("SELECT 1 FROM model")).all()  # so that nothing is merged
        for number in range(1, COMMITS + 1):
            _count(project, number)
        kept = {file.name: file.read_bytes() for file in files}
        state = {file: file.read_bytes() for file in project.state_dir.glob("*") if file.is_file()}
    root = tmp_path / "unmerged"
    shutil.copytree(furnished.root, root)

    def make() -> Path:
        (root / "ml.sqlite-shm").unlink(missing_ok=True)
        for name, content in kept.items():
            (root / name).write_bytes(content)
        for file, content in state.items():
            (root / ".mlkit" / file.name).write_bytes(content)
        return root

    return make


def test_every_commit_that_a_cut_or_flipped_write_ahead_log_loses_is_counted(
    unmerged: Callable[[], Path],
) -> None:
    size = (unmerged() / "ml.sqlite-wal").stat().st_size
    seen = set()
    for step in range(24):
        for damage in ("cut", "flip"):
            root = unmerged()
            file = root / "ml.sqlite-wal"
            content = bytearray(file.read_bytes())
            place = 32 + (size - 33) * step // 23
            if damage == "cut":
                del content[place:]
            else:
                content[place] ^= 0xFF
            file.write_bytes(content)
            with closing(open_project(root, environment={})) as project:
                found = audit_check.faults(project)
                with project.read() as s:
                    last = s.scalar(text("SELECT max(erased_rows) FROM dataset_version"))
            lost = COMMITS - (last or 0)
            seen.add(lost)
            expected = [] if lost == 0 else [f"{lost} commits"]
            assert [fault[: len(f"{lost} commits")] for fault in found] == expected, (place, damage)
    assert len(seen) > 10
