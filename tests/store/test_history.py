"""What the schema itself forbids: rewriting history, two champions, a broken audit chain."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from mlkit.errors import DamagedError
from mlkit.project import Project
from mlkit.store import audit, schema
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.deployments import Deployment, champion, start
from mlkit.store.engine import Database
from mlkit.store.registry import Model, ModelVersion
from mlkit.store.reports import DriftReport

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _model(s: Session) -> tuple[Model, list[ModelVersion]]:
    dataset = Dataset(name="rows", target="y", created_at=NOW)
    data = DatasetVersion(
        dataset=dataset, number=1, sha256="0" * 64, rows=1, schema_yaml="",
        profile={"columns": []}, source="x",
        parents=[], warnings=[], created_at=NOW,
    )  # fmt: skip
    model = Model(name="churn", task="classification", target="y", created_at=NOW)
    versions = [
        ModelVersion(
            model=model, number=number, artifact_sha256="", signature="", reference_sha256="",
            input_schema={}, estimator="dummy", recipe={}, params={}, metrics={}, intervals={},
            warnings=[], holdout_rows=0, golden={},
            verdict={}, dataset_version=data, python="3", packages={}, seed=0, created_by="me",
            created_at=NOW,
        )
        for number in (1, 2)
    ]  # fmt: skip
    s.add_all([model, *versions])
    s.flush()
    return model, versions


def _deployment(model: Model, version: ModelVersion) -> Deployment:
    return Deployment(
        model_id=model.id, model_version_id=version.id, role="champion", started_at=NOW,
        action="promote", actor="me", reason="", evidence={},
    )  # fmt: skip


def test_a_promotion_replaces_the_champion_in_one_act(project: Project) -> None:
    with project.write() as s:
        model, (first, second) = _model(s)
        start(s, _deployment(model, first))
        start(s, _deployment(model, second))
        current = champion(s, model)
        assert current is not None
        assert current.version.number == 2


def test_the_schema_forbids_a_second_champion(project: Project) -> None:
    with pytest.raises(IntegrityError), project.write() as s:
        model, (first, second) = _model(s)
        s.add_all([_deployment(model, first), _deployment(model, second)])
        s.flush()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM deployment",
        "UPDATE deployment SET reason = 'other'",
        "UPDATE deployment SET model_version_id = 2",
        "DELETE FROM audit_event",
        "UPDATE audit_event SET actor = 'nobody'",
    ],
)
def test_history_cannot_be_rewritten(project: Project, statement: str) -> None:
    with project.write() as s:
        model, (first, _) = _model(s)
        start(s, _deployment(model, first))
        audit.record(s, NOW, actor="me", action="promote", subject="churn@1", details={})
    with pytest.raises(DatabaseError, match="append-only"), project.write() as s:
        s.execute(text(statement))


def test_an_edited_audit_event_breaks_the_chain(project: Project) -> None:
    with project.write() as s:
        for number in range(5):
            audit.record(s, NOW, actor="me", action="x", subject=str(number), details={"n": number})
    with project.read() as s:
        assert audit.first_break(s) is None
    with project.write() as s:
        s.execute(text("DROP TRIGGER audit_event_no_change"))
        s.execute(text("UPDATE audit_event SET actor = 'other' WHERE seq = 3"))
    with project.read() as s:
        assert audit.first_break(s) == 3


def test_the_migrations_add_up_to_the_mapped_classes(project: Project) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with project.read() as s:
        context = MigrationContext.configure(s.connection())
        views = {
            name for (name,) in s.execute(text("SELECT name FROM sqlite_master WHERE type='view'"))
        }
        differences = compare_metadata(context, schema.metadata)
    assert [d for d in differences if d[0] != "remove_table" or d[1].name not in views] == []


def test_the_newest_migration_is_the_head_the_program_expects() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = Path(schema.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.head()


def test_drift_reports_of_an_earlier_release_count_as_those_of_the_job(
    tmp_path: Path, migrate: Callable[[Session, str], None]
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'old.sqlite'}")
    with database.write() as s:
        migrate(s, "0002")
        s.execute(text("PRAGMA defer_foreign_keys = ON"))  # no model, and no commit
        s.execute(
            text(
                "INSERT INTO drift_report (id, model_id, model_version_id, window_start, "
                "window_end, verdict, summary, details, created_at, reference_rows, current_rows) "
                "VALUES (1, 1, 1, '2026-01-01', '2026-01-02', 'ok', 'ok', '{}', '2026-01-02', 1, 1)"
            )
        )
        migrate(s, "head")
        assert s.scalars(select(DriftReport.standing)).all() == [True]
        s.rollback()
    database.dispose()


def _fill(s: Session, table: str, **given: object) -> None:
    """Insert a row with the values ``given``; what else must not be null is 0 or empty."""
    columns = inspect(s.connection()).get_columns(table)
    values = {
        column["name"]: _NOTHING.get(type(column["type"]).__name__, 0)
        for column in columns
        if not column["nullable"]
    }
    values.update(given)
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    s.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)  # noqa: S608  # our own names


_NOTHING = {"VARCHAR": "", "TEXT": "", "JSON": "{}", "DATETIME": "2026-01-01 00:00:00"}


def test_tables_that_others_refer_to_are_remade_with_their_rows(
    tmp_path: Path, migrate: Callable[[Session, str], None]
) -> None:
    database = Database(f"sqlite:///{tmp_path}/old.sqlite")
    with database.write() as s:
        migrate(s, "0007")
        _fill(s, "dataset", id=1, name="rows")
        _fill(
            s,
            "dataset_version",
            profile='{"columns": []}',
            id=1,
            dataset_id=1,
            number=1,
            parents="[]",
            warnings="[]",
        )
        _fill(s, "model", id=1, name="churn")
        _fill(s, "model_version", id=1, model_id=1, dataset_version_id=1, number=1, warnings="[]")
    schema.upgrade(database)
    with database.read() as s:
        (version,) = s.scalars(select(ModelVersion))
        assert version.dataset_version.reference == "rows@1"
        assert version.dataset_version.transformation == {}
        assert s.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.dispose()


def test_an_upgrade_of_a_database_with_broken_references_is_refused(
    tmp_path: Path, migrate: Callable[[Session, str], None]
) -> None:
    database = Database(f"sqlite:///{tmp_path}/old.sqlite")
    with database.write() as s:
        migrate(s, "0007")
    broken = database.for_migration()
    with broken.write() as s:
        _fill(s, "dataset_version", id=1, dataset_id=7, number=1)
    broken.dispose()
    with pytest.raises(DamagedError, match="row 1 of table dataset_version refers to a row of"):
        schema.upgrade(database)
    assert schema.revision(database) == "0007"
    database.dispose()
