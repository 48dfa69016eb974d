"""Put a verdict on record: its report, and in the same transaction the alert it asks for."""

from typing import Any, Protocol

import msgspec
from sqlalchemy.orm import Session

from mlkit.flows import alert_policy, alerting
from mlkit.flows.evidence import Window
from mlkit.project import Project
from mlkit.store import alerts, failpoints, reports
from mlkit.store.alerts import Alert, Severity
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport

_KINDS = {DriftReport: "drift", PerformanceReport: "performance"}
_BAD = ("drift", "degraded")


class Checked(Protocol):
    """What a check has found, as far as its report and its alert need it."""

    @property
    def verdict(self) -> str:
        """One of ok, insufficient_data, and the bad ones."""

    @property
    def model(self) -> str:
        """The name of the model."""

    @property
    def version(self) -> int:
        """The number of its version."""

    @property
    def window(self) -> Window:
        """The stretch of the log that was judged."""

    @property
    def summary(self) -> str:
        """The verdict in one line."""


def common(project: Project, version: ModelVersion, checked: Checked) -> dict[str, Any]:
    """Return the columns that every report has."""
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


def record(
    project: Project,
    report: DriftReport | PerformanceReport,
    checked: Checked,
    *,
    severity: Severity = "warning",
    announce: bool = True,
) -> None:
    """Write the report, and open, update or end the alert that it asks for."""
    with project.write() as s:
        record_in(s, project, report, checked, severity=severity, announce=announce)


def record_in(
    s: Session,
    project: Project,
    report: DriftReport | PerformanceReport,
    checked: Checked,
    *,
    severity: Severity = "warning",
    announce: bool = True,
) -> None:
    """Do the same in an open session; without ``announce`` it is on record and no more."""
    s.add(report)
    s.flush()
    if announce:
        _announce(s, project, report, checked, severity)
    failpoints.reach("report.written")


def _announce(
    s: Session,
    project: Project,
    report: DriftReport | PerformanceReport,
    checked: Checked,
    severity: Severity,
) -> None:
    """Open the alert, or end it, if enough of the last verdicts about the version say so.

    Too little data says nothing about an ongoing one.
    """
    kind, now = _KINDS[type(report)], project.now()
    key = f"{kind}:{checked.model}"
    own, rule = project.settings.model(checked.model), project.settings.alerts
    verdicts = reports.last_verdicts(s, type(report), report.model_version_id)
    ongoing = alerts.ongoing(s, key=key)
    opens = alert_policy.opens(verdicts, own.alert_open_after or rule.open_after)
    if checked.verdict in _BAD and (ongoing or opens):
        new = Alert(
            key=key,
            kind=kind,
            severity=severity,
            model=checked.model,
            summary=f"{checked.model} {checked.summary}",
            details={"version": checked.version, "verdict": checked.verdict},
            opened_at=now,
            last_seen_at=now,
        )
        alerting.open_in(s, project, new)
    elif checked.verdict == "ok" and alert_policy.ends(
        verdicts, own.alert_resolve_after or rule.resolve_after
    ):
        for alert in ongoing:
            alerting.resolve_in(s, project, alert, checked.summary)
