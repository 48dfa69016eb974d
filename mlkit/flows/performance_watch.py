"""Watch what a champion answers: its loss on rows with an actual against its holdout's."""

import msgspec
import pyarrow as pa

from mlkit.flows import deploy, estimates, evidence, silence, verdicts
from mlkit.flows.estimates import Estimate
from mlkit.flows.evidence import Window
from mlkit.project import Project
from mlkit.steps import diagnosis, drift, metrics, performance, prediction_columns
from mlkit.steps.drift import DriftRule
from mlkit.steps.drift_result import FeatureDrift
from mlkit.steps.metrics import Resampling
from mlkit.steps.performance import Holdout, Performance, PerformanceRule
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import PerformanceReport

_SURE = 0.01  # of what moved, before it is named as a cause
_JUDGED = 0.5  # share of predictions with an actual, from which on no estimate is needed


class PerformanceChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one performance check.

    ``reference`` is the holdout's value, ``limit`` what ``low`` may reach, ``coverage`` the share
    of the window's predictions that have an actual, ``estimated`` the loss expected of all.
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
    estimated: Estimate | None
    target: FeatureDrift | None
    diagnosis: str
    summary: str


def check(project: Project, model: str, *, window: str | None = None) -> PerformanceChecked:
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
    estimated = estimates.of(project, version, answered, stretch)
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
        estimated=estimated,
        target=target,
        diagnosis=said,
        summary=f"v{version.number} {in_words}{f'; {said}' if said else ''}",
    )
    report = PerformanceReport(
        **verdicts.common(project, version, checked),
        rows=checked.rows,
        coverage=checked.coverage,
        estimate=estimates.row(version, stretch, estimated),
    )
    verdicts.record(project, report, checked)
    judged = checked.verdict != "insufficient_data" and checked.coverage >= _JUDGED
    estimates.announce(project, model, estimated, limit=result.limit, judged=judged)
    if window is None:
        silence.watch_actuals(
            project, model, stretch.start, answered=answered.num_rows, known=checked.rows
        )
    return checked


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
