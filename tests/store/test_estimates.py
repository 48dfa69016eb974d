"""The table of estimates: written once, realised once, and new to databases of old."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

from mlkit.project import Project, create_project
from mlkit.store import estimates, registry
from mlkit.store.estimates import PerformanceEstimate
from mlkit.store.reports import PerformanceReport


def _record(project: Project, days: int) -> int:
    """Put an estimate of the day that ended ``days`` ago on record and return its number."""
    end = project.now() - timedelta(days=days)
    with project.write() as s:
        version = registry.get_version(s, registry.get_model(s, "churn"), 1)
        row = PerformanceEstimate(
            model_version_id=version.id, window_start=end - timedelta(days=1), window_end=end,
            metric="log_loss", value=0.5, low=0.4, high=0.6, trusted=True, rows=10,
        )  # fmt: skip
        report = PerformanceReport(
            model_id=version.model_id, model_version_id=version.id, window_start=row.window_start,
            window_end=end, verdict="ok", summary="", details={}, created_at=end, rows=0,
            coverage=0.0, estimate=row,
        )  # fmt: skip
        s.add(report)
        s.flush()
        assert row.report_id == report.id
        return row.id


def test_an_estimate_is_realised_once(furnished: Project) -> None:
    number, now = _record(furnished, 3), furnished.now()
    with furnished.write() as s:
        assert estimates.realise(s, number, 0.55, rows=8, now=now)
        assert not estimates.realise(s, number, 0.99, rows=9, now=now)
        version = registry.get_version(s, registry.get_model(s, "churn"), 1)
        (found,) = estimates.latest_realised(s, version.id, 5)
        assert (found.realised, found.realised_rows) == (0.55, 8)


def test_the_oldest_open_one_inside_a_stretch_is_next(furnished: Project) -> None:
    first, second, third = (_record(furnished, days) for days in (9, 6, 3))
    now, day = furnished.now(), timedelta(days=1)
    with furnished.write() as s:
        version = registry.get_version(s, registry.get_model(s, "churn"), 1).id
        found = estimates.next_to_realise(s, version, start=now - 20 * day, end=now)
        assert found is not None
        assert found.id == first
        estimates.realise(s, first, 0.5, rows=1, now=now)
        for start, end, expected in ((8, 0, second), (7, 4, second), (5, 0, third), (5, 4, None)):
            found = estimates.next_to_realise(
                s, version, start=now - start * day - day / 2, end=now - end * day
            )
            assert (found.id if found else None) == expected


def test_a_database_from_before_gets_the_table_and_keeps_its_versions(
    tmp_path: Path, migrate: Callable[[Session, str], None]
) -> None:
    (tmp_path / "mlkit.toml").touch()
    project = create_project(tmp_path, environment={})
    with project.write() as s:
        s.execute(text("DROP TABLE performance_estimate"))
        s.execute(text("ALTER TABLE model_version DROP COLUMN estimation_sha256"))
        s.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        migrate(s, "0004")
        tables = inspect(s.connection())
        assert "performance_estimate" in tables.get_table_names()
        columns = {column["name"] for column in tables.get_columns("model_version")}
        assert "estimation_sha256" in columns
    project.close()
