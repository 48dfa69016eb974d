"""Watch what a champion is asked: the log's newest rows against the training data."""

from collections.abc import Callable
from datetime import timedelta

import msgspec

from mlkit import settings
from mlkit.flows import deploy, evidence, silence, verdicts
from mlkit.flows.evidence import Window
from mlkit.project import Project
from mlkit.steps import budget, drift
from mlkit.steps.budget import Budget
from mlkit.steps.drift import DriftRule
from mlkit.steps.drift_result import FeatureDrift, Rows, Verdict
from mlkit.store import reports
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport

_DAY = timedelta(days=1)
Report = Callable[[str], None]

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
    quiet: int
    summary: str


def check(
    project: Project,
    model: str,
    *,
    window: str | None = None,
    joint: bool = False,
    progress: Report | None = None,
) -> DriftChecked:
    """Compare the champion's recent requests with its training data and record the verdict.

    With ``joint``, or the setting ``drift.joint``, by a classifier as well. Raises ConflictError if
    ``model`` has no champion.
    """
    version = deploy.find_version(project, model)
    own = project.settings.model(model).drift_window
    stretch = evidence.window(project, window or own or project.settings.drift.window)
    asked = evidence.rows(project, version, stretch)
    allowed = _budget(project, version, stretch)
    rule = DriftRule.from_settings(project.settings.drift, ordered=True)
    rule = msgspec.structs.replace(rule, alpha=allowed.alpha)
    known = evidence.reference_of(project, version).of_requests()
    span_s = evidence.span_s(asked)
    result = drift.compare(known, evidence.with_answers(version, asked), rule, span_s=span_s)
    if joint or project.settings.drift.joint:
        from mlkit.flows import joint_drift  # scikit-learn, which the margins do without

        spans_s, seed = (known.span_s, span_s), project.settings.train.seed
        how = joint_drift.How(rule, spans_s, seed, progress or _silent)
        result = joint_drift.of_version(project, version, asked, result, how)
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
        quiet=result.quiet,
        summary=f"v{version.number} {result.summary}",
    )
    report = DriftReport(
        **verdicts.common(project, version, checked),
        reference_rows=result.rows.reference,
        current_rows=result.rows.current,
    )
    verdicts.record(project, report, checked)
    if window is None:  # one that a person chose says nothing about what is usual
        silence.watch_requests(project, model, stretch.start)
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


def _silent(_message: str) -> None:
    """Report nothing."""
