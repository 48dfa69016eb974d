"""Watch what a champion is asked: the log's newest rows against the reference of the settings."""

from datetime import timedelta

import msgspec

from mlkit import settings
from mlkit.flows import deploy, evidence, references, silence, verdicts
from mlkit.flows.evidence import Window
from mlkit.flows.references import Chosen, ReferenceUsed
from mlkit.project import Project
from mlkit.steps import budget, drift
from mlkit.steps.budget import Budget
from mlkit.steps.drift import DriftRule
from mlkit.steps.drift_result import FeatureDrift, Rows, Verdict
from mlkit.store import reports
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport

_DAY = timedelta(days=1)
_PACE = timedelta(days=7)  # how far back the pace of the checks is looked at


class DriftChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one drift check; ``drifted`` names the features, the worst first.

    ``standing``: with the window and the reference that the settings name. Only such a check opens
    and ends alerts, and counts for the pace of the checks.
    """

    verdict: Verdict
    model: str
    version: int
    window: Window
    reference: ReferenceUsed
    standing: bool
    features: tuple[FeatureDrift, ...]
    rows: Rows
    warnings: tuple[str, ...]
    drifted: tuple[str, ...]
    alpha: float
    budget: Budget
    summary: str


def check(
    project: Project, model: str, *, window: str | None = None, against: str | None = None
) -> DriftChecked:
    """Compare the champion's recent requests with its reference and record the verdict.

    ``window`` and ``against`` are the settings' unless they are given. Raises ConflictError if
    ``model`` has no champion, NotFoundError if ``against`` is the name of no baseline.
    """
    version = deploy.find_version(project, model)
    usual_window = project.settings.drift_window(model)
    usual_reference = project.settings.drift_reference(model)
    stretch = evidence.window(project, window or usual_window)
    length = settings.duration(usual_window)
    chosen = references.choose(project, version, stretch, against or usual_reference)
    checked = _compare(
        project,
        version,
        stretch,
        chosen,
        standing=stretch.end - stretch.start == length and chosen.used.name == usual_reference,
    )
    _record(project, version, checked)
    if stretch.end - stretch.start == length:  # another one says nothing about what is usual
        silence.watch_requests(project, model, stretch.start)
    return checked


def _compare(
    project: Project, version: ModelVersion, stretch: Window, chosen: Chosen, *, standing: bool
) -> DriftChecked:
    asked = evidence.asked(project, version, stretch)
    allowed = _budget(project, version, stretch)
    rule = DriftRule.from_settings(project.settings.drift, ordered=True)
    rule = msgspec.structs.replace(rule, alpha=allowed.alpha)
    result = drift.compare(
        chosen.known,
        asked,
        rule,
        span_s=evidence.span_s(asked),
    )
    return DriftChecked(
        verdict=result.verdict,
        model=version.model.name,
        version=version.number,
        window=stretch,
        reference=chosen.used,
        standing=standing,
        features=result.features,
        rows=result.rows,
        warnings=(*chosen.warnings, *result.warnings),
        drifted=result.drifted,
        alpha=result.alpha,
        budget=allowed,
        summary=f"v{version.number} {result.summary}",
    )


def _record(project: Project, version: ModelVersion, checked: DriftChecked) -> None:
    report = DriftReport(
        **verdicts.common(project, version, checked),
        reference_rows=checked.rows.reference,
        current_rows=checked.rows.current,
        standing=checked.standing,
    )
    with project.write() as s:
        if checked.standing:
            references.audit_change(s, project, version, checked.reference)
        verdicts.record_in(s, project, report, checked, announce=checked.standing)


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
