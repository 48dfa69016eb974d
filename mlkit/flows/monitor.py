"""Watch a champion: what it was asked against its training data, its answers against the truth.

Each check writes one report row, and raises or ends one alert.
"""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mlkit import settings
from mlkit.flows import alerting, deploy, logs
from mlkit.project import Project
from mlkit.steps import drift, metrics, performance, reference
from mlkit.steps.answers import Predictions
from mlkit.steps.drift import DriftResult, DriftRule, FeatureDrift, Rows
from mlkit.steps.metrics import Resampling
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The stretch of the log that was judged."""

    start: datetime
    end: datetime


class DriftChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one drift check."""

    verdict: str
    model: str
    version: int
    window: Window
    features: tuple[FeatureDrift, ...]
    rows: Rows
    warnings: tuple[str, ...]
    drifted: tuple[str, ...]
    summary: str


class PerformanceChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one performance check; ``reference`` is the holdout's value."""

    verdict: str
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
    summary: str


def check_drift(project: Project, model: str, *, window: str | None = None) -> DriftChecked:
    """Compare the champion's recent requests with its training data and record the verdict."""
    version = deploy.find_version(project, model)
    chosen = window or project.settings.model(model).drift_window or project.settings.drift.window
    stretch = _window(project, chosen)
    asked = _rows(project, version, stretch)
    known = reference.load(project.references.read(version.reference_sha256))
    rule = DriftRule.from_settings(project.settings.drift, ordered=True)
    result = drift.compare(known, asked, rule)
    checked = DriftChecked(
        verdict=result.verdict,
        model=model,
        version=version.number,
        window=stretch,
        features=result.features,
        rows=result.rows,
        warnings=result.warnings,
        drifted=result.drifted,
        summary=f"v{version.number} {result.summary}",
    )
    _record_drift(project, version, checked, result)
    _announce(project, checked, is_bad=result.verdict == "drift", kind="drift")
    return checked


def check_performance(
    project: Project, model: str, *, window: str | None = None
) -> PerformanceChecked:
    """Compare the champion's loss on rows with an actual with its holdout's; record the verdict."""
    version = deploy.find_version(project, model)
    own = project.settings.model(model).performance_window
    stretch = _window(project, window or own or project.settings.performance.window)
    answered = _rows(project, version, stretch)
    known = answered.filter(answered["_actual"].is_valid())
    metric = next(iter(version.metrics))
    result = performance.judge(
        _losses(version, metric, known),
        float(version.metrics[metric]),
        performance.PerformanceRule(
            min_rows=project.settings.performance.min_rows,
            tolerance=project.settings.performance.tolerance,
        ),
        _resampling(project, known.num_rows),
    )
    checked = PerformanceChecked(
        verdict=result.verdict,
        model=model,
        version=version.number,
        window=stretch,
        metric=metric,
        value=result.value,
        low=result.low,
        high=result.high,
        reference=float(version.metrics[metric]),
        limit=result.limit,
        rows=known.num_rows,
        coverage=known.num_rows / answered.num_rows if answered.num_rows else 0.0,
        summary=_performance_summary(version, metric, result, known.num_rows),
    )
    _record_performance(project, version, checked)
    _announce(project, checked, is_bad=result.verdict == "degraded", kind="performance")
    return checked


def _window(project: Project, length: str) -> Window:
    end = project.now()
    return Window(start=end - settings.duration(length), end=end)


def _rows(project: Project, version: ModelVersion, stretch: Window) -> pa.Table:
    """Return the rows of this version alone, so that a deployment is no drift."""
    rows = logs.read(
        project,
        version.model.name,
        start=stretch.start,
        end=stretch.end,
        version=version.number,
    )
    for column in deploy.input_schema(version).columns:
        if column.name not in rows.column_names:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, pa.string()))
    return rows


def _losses(version: ModelVersion, metric: str, rows: pa.Table) -> np.ndarray:
    schema = deploy.input_schema(version)
    given = rows["_probabilities"].to_pylist()
    probabilities = None
    if given and all(row is not None for row in given):
        probabilities = np.array(given, dtype=float)
    answers = Predictions(values=rows["_value"].to_pylist(), probabilities=probabilities)
    if not rows.num_rows:
        return np.zeros(0)
    return metrics.losses(metric, answers, rows["_actual"].to_pylist(), schema.classes)


def _resampling(project: Project, rows: int) -> Resampling:
    chosen = project.settings.train
    return Resampling(
        rounds=chosen.bootstrap,
        confidence=chosen.confidence,
        seed=chosen.seed,
        block=metrics.block_length(rows, ordered=True),
    )


def _performance_summary(
    version: ModelVersion, metric: str, result: performance.Performance, rows: int
) -> str:
    if result.value is None:
        return f"v{version.number} insufficient_data: no row with an actual"
    return (
        f"v{version.number} {result.verdict}: {metric} {result.value:.4g} "
        f"[{result.low:.4g}, {result.high:.4g}] on {rows} rows, "
        f"holdout {float(version.metrics[metric]):.4g}"
    )


def _record_drift(
    project: Project, version: ModelVersion, checked: DriftChecked, result: DriftResult
) -> None:
    row = DriftReport(
        **_common(project, version, checked),
        reference_rows=result.rows.reference,
        current_rows=result.rows.current,
    )
    with project.write() as s:
        s.add(row)


def _record_performance(
    project: Project, version: ModelVersion, checked: PerformanceChecked
) -> None:
    row = PerformanceReport(
        **_common(project, version, checked), rows=checked.rows, coverage=checked.coverage
    )
    with project.write() as s:
        s.add(row)


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


def _announce(
    project: Project, checked: DriftChecked | PerformanceChecked, *, is_bad: bool, kind: str
) -> None:
    """Raise the alert, or end it; too little data says nothing about an ongoing one."""
    key = f"{kind}:{checked.model}"
    if is_bad:
        alerting.raise_alert(
            project,
            key=key,
            kind=kind,
            severity="warning",
            model=checked.model,
            summary=f"{checked.model} {checked.summary}",
            details={"version": checked.version, "verdict": checked.verdict},
        )
    elif checked.verdict == "ok":
        alerting.resolve(project, key, checked.summary)
