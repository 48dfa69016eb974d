"""Gauges of a project for a metrics scraper, read every few seconds by a few queries."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from mlkit.errors import DamagedError
from mlkit.flows.monitoring import history
from mlkit.flows.operations import backup
from mlkit.project import Project, Session, refuse_missing_database
from mlkit.store import alerts, deployments, reports, runs
from mlkit.store.deployments import Deployment
from mlkit.store.engine import Database

T = TypeVar("T")

_PATIENCE_S: Final = 0.5
_SEVERITIES: Final = ("warning", "critical")


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The newest drift check of a champion: number of features, and of drifted ones."""

    verdict: str
    features: int
    drifted: int


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The newest performance check of a champion."""

    verdict: str
    metric: str | None
    value: float | None
    limit: float | None


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a project; drift and performance are about the champions, by model.

    Open alerts are counted by severity and by model; the model is empty for alerts about none.
    """

    drift: Mapping[str, Drift]
    performance: Mapping[str, Performance]
    job_successes: Mapping[str, datetime]
    open_alerts: Mapping[str, Mapping[str, int]]

    def of_models(self, sees: Callable[[str], bool]) -> "Gauges":
        """Return only the gauges of the models for which ``sees`` is true."""
        return Gauges(
            drift={name: each for name, each in self.drift.items() if sees(name)},
            performance={name: each for name, each in self.performance.items() if sees(name)},
            job_successes={},
            open_alerts={
                severity: {name: count for name, count in by_model.items() if sees(name)}
                for severity, by_model in self.open_alerts.items()
            },
        )


def read(project: Project) -> Gauges:
    """Read the gauges from the database.

    Raises MlkitError or SQLAlchemyError, the former after half a second if it is locked.
    """
    refuse_missing_database(project)
    hasty = replace(project, database=Database(project.database.url, busy_timeout_s=_PATIENCE_S))
    hasty.database.must_exist = True
    try:
        with hasty.read() as s:
            champions = {d.version.model.name: d for d in deployments.champions(s)}
            drift = {name: _readable(_drift, s, each) for name, each in champions.items()}
            performance = {
                name: _readable(_performance, s, each) for name, each in champions.items()
            }
            return Gauges(
                drift={name: each for name, each in drift.items() if each},
                performance={name: each for name, each in performance.items() if each},
                job_successes=runs.last_successes(s),
                open_alerts=_open_alerts(s),
            )
    finally:
        hasty.close()


def backup_age_s(project: Project) -> float | None:
    """Return the age of the newest backup in ``backups/``, None if there is none."""
    try:
        newest = max(file.stat().st_mtime for file in backup.list_backups(project))
    except (ValueError, FileNotFoundError):  # none, or the job is deleting it just now
        return None
    return project.now().timestamp() - newest


def _readable(
    read: Callable[[Session, Deployment], T | None], s: Session, champion: Deployment
) -> T | None:
    """Return what ``read`` returns, None if the last report was changed after recording."""
    try:
        return read(s, champion)
    except DamagedError:  # one damaged model must not hide the others
        return None


def _drift(s: Session, champion: Deployment) -> Drift | None:
    report = reports.latest_drift(s, champion.version.model)
    if report is None or report.model_version_id != champion.model_version_id:
        return None
    details: dict[str, Any] = report.details
    return Drift(
        verdict=report.verdict,
        features=len(details.get("features", ())),
        drifted=len(details.get("drifted", ())),
    )


def _performance(s: Session, champion: Deployment) -> Performance | None:
    report = reports.latest_performance(s, champion.version.model)
    if report is None or report.model_version_id != champion.model_version_id:
        return None
    found: dict[str, Any] = report.details
    return Performance(
        verdict=report.verdict,
        metric=found.get("metric"),
        value=history.number(found.get("value")),
        limit=history.number(found.get("limit")),
    )


def _open_alerts(s: Session) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {severity: {} for severity in _SEVERITIES}
    for (severity, model), count in alerts.open_counts(s).items():
        found.setdefault(severity, {})[model or ""] = count
    return found
