"""Watch what a champion is asked: the log's newest rows against the reference of the settings."""

from datetime import timedelta

import msgspec

from mlkit.flows.log import evidence
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import reference_choice, silence, verdicts
from mlkit.flows.monitoring.reference_choice import ReferenceUsed
from mlkit.flows.registry import deploy
from mlkit.progress import Progress, silent
from mlkit.project import Project
from mlkit.settings import table
from mlkit.steps.drift import budget, detection
from mlkit.steps.drift.budget import Budget
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.result import DriftResult, FeatureDrift, RowCounts, Verdict
from mlkit.store import reports
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport

_DAY = timedelta(days=1)
_PACE = timedelta(days=7)  # how far back the pace of the checks is looked at


class DriftChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one drift check; ``drifted`` names the features, the worst first.

    ``standing``: with the window, the reference and the tests that the settings name. Only such a
    check opens and ends alerts, and counts for the pace of the checks.
    """

    verdict: Verdict
    model: str
    version: int
    window: Window
    reference: ReferenceUsed
    standing: bool
    features: tuple[FeatureDrift, ...]
    rows: RowCounts
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
    against: str | None = None,
    joint: bool = False,
    progress: Progress | None = None,
) -> DriftChecked:
    """Compare the champion's recent requests with its reference and record the verdict.

    ``window`` and ``against`` are the settings' unless they are given. With ``joint``, or the
    setting ``drift.joint``, a classifier compares them with the training data as well. Raises
    ConflictError if ``model`` has no champion, NotFoundError if ``against`` is the name of no
    baseline.
    """
    version, chosen = deploy.find_version(project, model), project.settings
    usual_window, usual_reference = chosen.drift_window(model), chosen.drift_reference(model)
    stretch = evidence.window(project, window or usual_window)
    usual_tests = chosen.drift.joint or not joint
    usual_length = stretch.end - stretch.start == table.duration(usual_window)
    known = reference_choice.choose(project, version, stretch, against or usual_reference)
    allowed = _budget(project, version, table.duration(usual_window))
    rule = DriftRule.from_settings(chosen.drift, ordered=True)
    rule = msgspec.structs.replace(rule, alpha=allowed.alpha)
    asked = evidence.asked(project, version, stretch)
    result = detection.compare(known.known, asked, rule, span_s=evidence.span_s(asked))
    if joint or chosen.drift.joint:
        if known.used.kind == "training":
            result = _jointly(project, version, stretch, result, rule, progress or silent)
        else:
            result = _without_joint(result, known.used)
    checked = DriftChecked(
        verdict=result.verdict,
        model=model,
        version=version.number,
        window=stretch,
        reference=known.used,
        standing=usual_length and usual_tests and known.used.name == usual_reference,
        features=result.features,
        rows=result.rows,
        warnings=(*known.warnings, *result.warnings),
        drifted=result.drifted,
        alpha=result.alpha,
        budget=allowed,
        quiet=result.quiet,
        summary=f"v{version.number} {result.summary}",
    )
    _record(project, version, checked)
    if usual_length:  # another one says nothing about what is usual
        silence.watch_requests(project, model, stretch.start)
    return checked


def _jointly(
    project: Project,
    version: ModelVersion,
    stretch: Window,
    result: DriftResult,
    rule: DriftRule,
    report: Progress,
) -> DriftResult:
    """Return ``result`` with what a classifier says of the window and the training data."""
    from mlkit.flows.monitoring import joint_drift  # scikit-learn, which the margins do without

    rows = evidence.rows(project, version, stretch)
    spans_s = evidence.reference_of(project, version).span_s, evidence.span_s(rows)
    how = joint_drift.How(rule, spans_s, project.settings.train.seed, report)
    return joint_drift.of_version(project, version, rows, result, how)


def _without_joint(result: DriftResult, used: ReferenceUsed) -> DriftResult:
    """Say why there is no joint test: against old data it would alarm in a world that changed."""
    skipped = f"joint_skipped: a classifier compares with training data, not with '{used.name}'"
    return msgspec.structs.replace(result, warnings=(*result.warnings, skipped))


def _record(project: Project, version: ModelVersion, checked: DriftChecked) -> None:
    report = DriftReport(
        **verdicts.common(project, version, checked),
        reference_rows=checked.rows.reference,
        current_rows=checked.rows.current,
        standing=checked.standing,
    )
    with project.write() as s:
        if checked.standing:
            reference_choice.audit_change(s, project, version, checked.reference)
        matters = (verdicts.own("drift", checked),) if checked.standing else ()
        verdicts.record(s, project, report, checked.model, matters)


def _budget(project: Project, version: ModelVersion, usual: timedelta) -> Budget:
    """Return what a check may take; how often standing ones are made is what the reports show."""
    chosen, now = project.settings.drift, project.now()
    with project.read() as s:
        seen, first = reports.drift_pace(s, version.model_id, now - _PACE)
    return budget.share(
        table.duration(chosen.false_alarm_every),
        window=usual,
        seen=seen,
        span=max(_DAY, now - (first or now)),
        most=chosen.alpha,
    )
