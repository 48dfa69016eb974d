"""A database of the release before opens, and what was given up long ago is not sent again."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from mlkit.flows.alerts import alerting
from mlkit.project import open_project
from mlkit.store.alerts import AlertDelivery
from mlkit.store.engine import Database

_ROWS = (
    "INSERT INTO alert (id, key, kind, severity, summary, details, opened_at, last_seen_at, "
    "times_seen) VALUES (1, 'drift:a', 'drift', 'warning', 'age moved', '{}', "
    "'2026-01-01 00:00:00.000000', '2026-01-02 00:00:00.000000', 3)",
    "INSERT INTO alert_delivery (alert_id, event, sink, attempts, error) "
    "VALUES (1, 'firing', 'log', 20, 'x'), (1, 'firing', 'log', 19, 'x')",
)


def test_alerts_of_the_release_before_are_taken_over(
    tmp_path: Path, migrate: Callable[[Session, str], None]
) -> None:
    (tmp_path / "mlkit.toml").touch()
    (tmp_path / ".mlkit").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'ml.sqlite'}")
    with database.write() as s:
        migrate(s, "0002")
        for statement in _ROWS:
            s.execute(text(statement))
    database.dispose()
    project = open_project(tmp_path, environment={})
    (line,) = alerting.ongoing(project)
    assert (line.key, line.times_seen, line.flaps, line.status) == ("drift:a", 3, 0, "open")
    assert alerting.deliver(project) == alerting.Delivered(1, 0)
    with project.read() as s:
        given_up, sent = s.scalars(select(AlertDelivery).order_by(AlertDelivery.id))
    assert (given_up.dropped_at, given_up.delivered_at) == (line.last_seen_at, None)
    assert (sent.dropped_at, sent.attempts) == (None, 20)
    assert list((tmp_path / "backups").glob("before-upgrade-from-0002-*"))
    project.close()
