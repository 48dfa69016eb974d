"""Watch a champion: what it was asked against its training data, its answers against the truth.

A check writes one report row, and in the same transaction opens, updates or ends one alert.
"""

from datetime import timedelta
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy.orm import Session

from mlkit import settings
from mlkit.flows import alerting, deploy, evidence, silence
from mlkit.flows.evidence import Window
from mlkit.project import Project
from mlkit.steps import (
    budget,
    diagnosis,
    drift,
    metrics,
    performance,
    prediction_columns,
)
from mlkit.steps.budget import Budget
from mlkit.steps.drift import DriftRule
from mlkit.steps.drift_result import FeatureDrift, Rows, Verdict
from mlkit.steps.metrics import Resampling
from mlkit.steps.performance import Holdout, Performance, PerformanceRule
from mlkit.store import alerts, failpoints, reports
from mlkit.store.alerts import Alert
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport

_KINDS = {DriftReport: "drift", PerformanceReport: "performance"}
_BAD = ("drift", "degraded")
_SURE = 0.01  # of what moved, before it is named as a cause
_DAY = timedelta(days=1)
_PACE = timedelta(days=7)  # how far back the pace of the checks is looked at


class DriftChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one drift check; ``drifted`` names the features, the worst first."""

    verdict: Verdict
    model: str
    version: int
    window: Window
    features: tuple[FeatureDrift, ...]
    rows: Rows
    warnings: tuple[str, ...]
    drifted: tuple[str, ...]
    alpha: float
    budget: Budget
    summary: str


class PerformanceChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one performance check.

    ``reference`` is the holdout's value, ``limit`` what ``low`` may reach, ``coverage`` the share
    of the window's predictions that have an actual.
    """

    verdict: performance.Verdict
    model: str
    version: int
    window: Window
    metric: str
    value: float | None
    low: float | None
    high: float | None
    reference: float
    limit: float
    rows: int
    coverage: float
    target: FeatureDrift | None
    diagnosis: str
    summary: str


def check_drift(project: Project, model: str, *, window: str | None = None) -> DriftChecked:
    """Compare the champion's recent requests with its training data and record the verdict.

    Raises ConflictError if ``model`` has no champion.
    """
    version = deploy.find_version(project, model)
    own = project.settings.model(model).drift_window
    stretch = evidence.window(project, window or own or project.settings.drift.window)
    asked = evidence.rows(project, version, stretch)
    allowed = _budget(project, version, stretch)
    rule = DriftRule.from_settings(project.settings.drift, ordered=True)
    rule = msgspec.structs.replace(rule, alpha=allowed.alpha)
    result = drift.compare(
        evidence.reference_of(project, version).of_requests(),
        evidence.with_answers(version, asked),
        rule,
        span_s=evidence.span_s(asked),
    )
    checked = DriftChecked(
        verdict=result.verdict,
        model=model,
        version=version.number,
        window=stretch,
        features=result.features,
        rows=result.rows,
        warnings=result.warnings,
        drifted=result.drifted,
        alpha=result.alpha,
        budget=allowed,
        summary=f"v{version.number} {result.summary}",
    )
    report = DriftReport(
        **_common(project, version, checked),
        reference_rows=result.rows.reference,
        current_rows=result.rows.current,
    )
    _record(project, report, checked)
    if window is None:  # one that a person chose says nothing about what is usual
        silence.watch_requests(project, model, stretch.start)
    return checked


def check_performance(
    project: Project, model: str, *, window: str | None = None
) -> PerformanceChecked:
    """Compare the champion's loss on rows with an actual with its holdout's; record the verdict.

    Raises ConflictError if ``model`` has no champion.
    """
    version = deploy.find_version(project, model)
    own = project.settings.model(model).performance_window
    stretch = evidence.window(project, window or own or project.settings.performance.window)
    answered = evidence.rows(project, version, stretch)
    known = answered.filter(answered["_actual"].is_valid())
    metric, losses = evidence.losses(version, known)
    holdout = evidence.holdout(version, metric)
    rule = PerformanceRule.from_settings(project.settings.performance)
    result = performance.judge(losses, holdout, rule, _resampling(project, known.num_rows))
    target, said = _diagnose(project, version, result.verdict, answered)
    in_words = _in_words(result, metric, holdout, known.num_rows)
    checked = PerformanceChecked(
        verdict=result.verdict,
        model=model,
        version=version.number,
        window=stretch,
        metric=metric,
        value=result.value,
        low=result.low,
        high=result.high,
        reference=holdout.value,
        limit=result.limit,
        rows=known.num_rows,
        coverage=known.num_rows / answered.num_rows if answered.num_rows else 0.0,
        target=target,
        diagnosis=said,
        summary=f"v{version.number} {in_words}{f'; {said}' if said else ''}",
    )
    report = PerformanceReport(
        **_common(project, version, checked), rows=checked.rows, coverage=checked.coverage
    )
    _record(project, report, checked)
    if window is None:
        silence.watch_actuals(
            project, model, stretch.start, answered=answered.num_rows, known=checked.rows
        )
    return checked


def _budget(project: Project, version: ModelVersion, stretch: Window) -> Budget:
    """Return what this check may take; how often checks are made is what the reports show."""
    chosen, now = project.settings.drift, project.now()
    with project.read() as s:
        seen, first = reports.drift_pace(s, version.model_id, now - _PACE)
    return budget.share(
        settings.duration(chosen.false_alarm_every),
        window=stretch.end - stretch.start,
        seen=seen,
        span=max(_DAY, now - (first or now)),
        most=chosen.alpha,
    )


def _diagnose(
    project: Project, version: ModelVersion, verdict: performance.Verdict, answered: pa.Table
) -> tuple[FeatureDrift | None, str]:
    """Return how the actual values moved, and what that and the inputs say about the error."""
    known = evidence.reference_of(project, version)
    rule = DriftRule.from_settings(project.settings.drift, ordered=True)
    rule = msgspec.structs.replace(rule, alpha=min(rule.alpha, _SURE))
    inputs = drift.compare(
        known.of_requests(),
        evidence.with_answers(version, answered),
        rule,
        span_s=evidence.span_s(answered),
    )
    told = answered["_actual"].drop_null().to_pylist()
    actuals = prediction_columns.actuals(deploy.input_schema(version), told)
    span_s = evidence.span_s(answered)
    found = drift.compare(known.of_target(), actuals, rule, span_s=span_s).features
    target = next((f for f in found if f.kind != "missing"), None)
    asked = {column.name for column in deploy.input_schema(version).columns}
    tests = [feature for feature in inputs.features if feature.column in asked]
    base_moved = target is not None and target.drifted is True
    return target, diagnosis.of(verdict, tests, base_moved=base_moved)


def _resampling(project: Project, rows: int) -> Resampling:
    chosen = project.settings.train
    return Resampling(
        rounds=chosen.bootstrap,
        confidence=chosen.confidence,
        seed=chosen.seed,
        block=metrics.block_length(rows, ordered=True),
    )


def _in_words(result: Performance, metric: str, holdout: Holdout, rows: int) -> str:
    if result.value is None:
        return "insufficient data: no prediction in the window has an actual"
    measured = (
        f"{metric} {result.value:.4g} [{result.low:.4g}, {result.high:.4g}] on {rows} rows, "
        f"{holdout.value:.4g} on the holdout"
    )
    return f"{result.verdict.replace('_', ' ')}: {measured}"


def _common(
    project: Project, version: ModelVersion, checked: DriftChecked | PerformanceChecked
) -> dict[str, Any]:
    return {
        "model_id": version.model_id,
        "model_version_id": version.id,
        "window_start": checked.window.start,
        "window_end": checked.window.end,
        "verdict": checked.verdict,
        "summary": checked.summary,
        "details": msgspec.to_builtins(checked),
        "created_at": project.now(),
    }


def _record(
    project: Project,
    report: DriftReport | PerformanceReport,
    checked: DriftChecked | PerformanceChecked,
) -> None:
    with project.write() as s:
        s.add(report)
        _announce(s, project, _KINDS[type(report)], checked)
        failpoints.reach("report.written")


def _announce(
    s: Session, project: Project, kind: str, checked: DriftChecked | PerformanceChecked
) -> None:
    """Open the alert, or end it; too little data says nothing about an ongoing one."""
    key, now = f"{kind}:{checked.model}", project.now()
    if checked.verdict in _BAD:
        new = Alert(
            key=key,
            kind=kind,
            severity="warning",
            model=checked.model,
            summary=f"{checked.model} {checked.summary}",
            details={"version": checked.version, "verdict": checked.verdict},
            opened_at=now,
            last_seen_at=now,
        )
        alerting.open_in(s, project.settings.alerts, new)
    elif checked.verdict == "ok":
        for alert in alerts.ongoing(s, key=key):
            alerting.resolve_in(s, project, alert, checked.summary)
