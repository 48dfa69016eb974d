"""The status screen: models, traffic, verdicts and open alerts, by SQL alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from mlkit.errors import DamagedError
from mlkit.flows.alerts import alerting
from mlkit.flows.alerts.alerting import AlertLine
from mlkit.flows.monitoring import history
from mlkit.flows.monitoring.history import DriftPoint, PerformancePoint
from mlkit.project import Project, Session
from mlkit.store import deployments, registry, reports, traffic
from mlkit.store.deployments import Deployment
from mlkit.store.registry import Model
from mlkit.store.reports import DriftReport, PerformanceReport

_TRAFFIC = timedelta(days=1)
_RECENT = 8  # reports that fit into a table column


class VerdictLine(msgspec.Struct, frozen=True):
    """The newest report of one kind; ``history`` are the levels of the last few, oldest first.

    A level is 1 at the threshold of drift or of the tolerated loss (``monitoring.history``).
    """

    verdict: str
    summary: str
    at: datetime
    history: tuple[float | None, ...]


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One model; ``rows_24h`` predictions of the last day, ``actuals_24h`` of them with an actual.

    ``problem`` says why nothing else is shown: one of its rows was changed after recording.
    """

    model: str
    task: str
    versions: int
    champion: int | None
    since: datetime | None
    estimator: str | None
    rows_24h: int
    actuals_24h: int
    drift: VerdictLine | None
    performance: VerdictLine | None
    problem: str | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a project at one moment."""

    project: Path
    at: datetime
    models: tuple[ModelLine, ...]
    alerts: tuple[AlertLine, ...]


def read(project: Project) -> Status:
    """Return the state of the project now."""
    now = project.now()
    with project.read() as s:
        models = tuple(_line(s, model, now) for model in registry.list_models(s))
    return Status(
        project=project.root, at=now, models=models, alerts=tuple(alerting.ongoing(project))
    )


def _line(s: Session, model: Model, now: datetime) -> ModelLine:
    try:
        return _model_line(s, model, now)
    except DamagedError as error:  # one damaged model must not hide the others
        return _unreadable(s, model, now, str(error))


def _unreadable(s: Session, model: Model, now: datetime, problem: str) -> ModelLine:
    rows, actuals = traffic.since(s, model.id, now - _TRAFFIC)
    return ModelLine(
        model=model.name,
        task=model.task,
        versions=registry.next_number(s, model) - 1,
        champion=None,
        since=None,
        estimator=None,
        rows_24h=rows,
        actuals_24h=actuals,
        drift=None,
        performance=None,
        problem=problem,
    )


def _model_line(s: Session, model: Model, now: datetime) -> ModelLine:
    champion = deployments.champion(s, model)
    rows, actuals = traffic.since(s, model.id, now - _TRAFFIC)
    return ModelLine(
        model=model.name,
        task=model.task,
        versions=registry.next_number(s, model) - 1,
        champion=champion.version.number if champion else None,
        since=champion.started_at if champion else None,
        estimator=champion.version.estimator if champion else None,
        rows_24h=rows,
        actuals_24h=actuals,
        drift=_verdict(
            reports.latest_drift(s, model), champion, history.drift(s, model, _RECENT).points
        ),
        performance=_verdict(
            reports.latest_performance(s, model), champion, history.performance(s, model, _RECENT)
        ),
    )


def _verdict(
    report: DriftReport | PerformanceReport | None,
    champion: Deployment | None,
    past: Sequence[DriftPoint | PerformancePoint],
) -> VerdictLine | None:
    """Return the report unless its version is no longer the champion."""
    if report is None or champion is None:
        return None
    if report.model_version_id != champion.model_version_id:
        return None
    levels = tuple(point.level for point in past)
    return VerdictLine(report.verdict, report.summary, report.created_at, levels)
