"""All that one page shows of a model, as values. It reads; it checks nothing and opens no alert."""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from mlkit.flows.alerts import alerting
from mlkit.flows.alerts.alerting import AlertLine
from mlkit.flows.log import evidence
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import advice, history, spread
from mlkit.flows.monitoring.advice import Advice, Verdict
from mlkit.flows.monitoring.history import DriftHistory, DriftPoint, PerformancePoint
from mlkit.flows.monitoring.spread import Spread
from mlkit.project import Project, Session
from mlkit.store import deployments, registry, reports
from mlkit.store.deployments import Deployment
from mlkit.store.registry import Model
from mlkit.store.reports import DriftReport, PerformanceReport

REPORTS: Final = 200  # of each kind, at most
_SPARK: Final = 30  # of these in the line of a feature
_ALERTS: Final = 500
_DEPLOYMENTS: Final = 500
_ALERTS_SINCE: Final = timedelta(days=90)


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that serves: what it was made of, how good it was, who put it there and when."""

    version: int
    estimator: str
    dataset: str
    dataset_rows: int
    features: int
    classes: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    holdout_rows: int
    trained_at: datetime
    trained_by: str
    promoted_at: datetime
    promoted_by: str
    action: str
    reason: str
    warnings: tuple[str, ...]
    code_commit: str | None
    artifact: str


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A version in the champion's role from ``at`` on."""

    version: int
    at: datetime
    action: str
    actor: str
    reason: str


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one moment; ``spread`` is null while no version serves.

    ``drift`` and ``performance`` are the newest reports, the newest last. ``alpha`` is the q below
    which the last drift check took a difference for real, null without one.
    """

    project: str
    model: str
    task: str
    target: str
    at: datetime
    champion: Champion | None
    verdicts: tuple[Advice, ...]
    alerts: tuple[AlertLine, ...]
    drift: tuple[DriftPoint, ...]
    performance: tuple[PerformancePoint, ...]
    served: tuple[Served, ...]
    spread: Spread | None
    alpha: float | None = None


class _Records(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of a model, read in one snapshot."""

    model: Model
    champion: Deployment | None
    served: tuple[Served, ...]
    drift: DriftHistory
    performance: tuple[PerformancePoint, ...]
    last_drift: DriftReport | None
    last_performance: PerformanceReport | None


def read(project: Project, name: str, *, window: str | None = None) -> ModelReport:
    """Return what there is to see of a model; raises NotFoundError.

    Distributions are those of the window of the last drift report, so that pictures and numbers
    belong together; without a report, or with ``window``, of that long until now.
    """
    now = project.now()
    with project.read() as s:
        known = _records(s, registry.get_model(s, name))
    return ModelReport(
        project=project.root.name,
        model=name,
        task=known.model.task,
        target=known.model.target,
        at=now,
        champion=_champion(known.champion) if known.champion else None,
        verdicts=_verdicts(name, known, now),
        alerts=tuple(alerting.of_model(project, name, since=now - _ALERTS_SINCE, limit=_ALERTS)),
        drift=known.drift.points,
        performance=known.performance,
        served=known.served,
        spread=_spread(project, known, window),
        alpha=history.number(known.last_drift.details.get("alpha")) if known.last_drift else None,
    )


def _records(s: Session, model: Model) -> _Records:
    champion = deployments.champion(s, model)
    last_drift = reports.latest_drift(s, model)
    last_performance = reports.latest_performance(s, model)
    served = deployments.of_model(s, model)[-_DEPLOYMENTS:]
    return _Records(
        model=model,
        champion=champion,
        served=tuple(_served(each) for each in served if each.role == "champion"),
        drift=history.drift(s, model, REPORTS),
        performance=history.performance(s, model, REPORTS),
        last_drift=last_drift if _about(last_drift, champion) else None,
        last_performance=last_performance if _about(last_performance, champion) else None,
    )


def _about(report: DriftReport | PerformanceReport | None, champion: Deployment | None) -> bool:
    """Tell whether a report is about the version that serves."""
    if report is None or champion is None:
        return False
    return report.model_version_id == champion.model_version_id


def _served(deployment: Deployment) -> Served:
    return Served(
        version=deployment.version.number,
        at=deployment.started_at,
        action=deployment.action,
        actor=deployment.actor,
        reason=deployment.reason,
    )


def _champion(deployment: Deployment) -> Champion:
    version = deployment.version
    return Champion(
        version=version.number,
        estimator=version.estimator,
        dataset=version.dataset_version.reference,
        dataset_rows=version.dataset_version.rows,
        features=len(version.input_schema.get("columns", ())),
        classes=len(version.input_schema.get("classes", ())),
        metrics=version.metrics,
        intervals=version.intervals,
        holdout_rows=version.holdout_rows,
        trained_at=version.created_at,
        trained_by=version.created_by,
        promoted_at=deployment.started_at,
        promoted_by=deployment.actor,
        action=deployment.action,
        reason=deployment.reason,
        warnings=tuple(version.warnings),
        code_commit=version.code_commit,
        artifact=version.artifact_sha256,
    )


def _verdicts(name: str, known: _Records, now: datetime) -> tuple[Advice, ...]:
    if known.champion is None:
        return (advice.on_nothing(name),)
    error = advice.on_performance(name, _verdict(known.last_performance), now=now)
    return advice.on_drift(name, _verdict(known.last_drift), error=error, now=now), error


def _verdict(report: DriftReport | PerformanceReport | None) -> Verdict | None:
    if report is None:
        return None
    return Verdict(
        verdict=report.verdict,
        summary=report.summary,
        at=report.created_at,
        window=report.window_end - report.window_start,
        details=report.details,
    )


def _spread(project: Project, known: _Records, window: str | None) -> Spread | None:
    if known.champion is None:
        return None
    last, answers = known.last_drift, known.last_performance
    tested: list[dict[str, Any]] = list(last.details.get("features", ())) if last else []
    if answers and answers.details.get("target"):
        tested.append(answers.details["target"])
    past = {name: values[-_SPARK:] for name, values in known.drift.features.items()} if last else {}
    return spread.look(
        project,
        known.champion.version,
        _window(project, known.model.name, last, window),
        tested=tested,
        past=past,
    )


def _window(project: Project, name: str, last: DriftReport | None, length: str | None) -> Window:
    if last is not None and length is None:
        return Window(start=last.window_start, end=last.window_end)
    return evidence.window(project, length or project.settings.drift_window(name))
