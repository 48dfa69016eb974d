"""Record a verdict: its report and, in the same transaction, the alerts that it opens or ends."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from mlkit.flows.alerts import alerting, policy
from mlkit.flows.log.evidence import Window
from mlkit.project import Project, Session
from mlkit.settings import table
from mlkit.store import alerts, reports
from mlkit.store.alerts import Alert, Severity
from mlkit.store.disk import failpoints
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport


class Checked(Protocol):
    """The result of a check, as far as its report and its alert need it."""

    @property
    def verdict(self) -> str:
        """One of ok, insufficient_data, drift and degraded."""

    @property
    def model(self) -> str:
        """The name of the model."""

    @property
    def version(self) -> int:
        """The number of its version."""

    @property
    def window(self) -> Window:
        """The period of the log that was judged."""

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


class Matter(NamedTuple):
    """The subject of one alert.

    ``said`` returns its state from the details of a report: "ok", "insufficient_data", or any other
    word, which means that it is bad. ``ended`` is the message when the alert ends.
    """

    name: str
    kind: str
    said: Callable[[Mapping[str, Any]], str]
    summary: str
    ended: str
    details: Mapping[str, Any]
    severity: Severity = "warning"


def own(kind: str, checked: Checked, severity: Severity = "warning") -> Matter:
    """Return the matter of the verdict itself."""
    told = {"version": checked.version, "verdict": checked.verdict}
    return Matter(kind, kind, _verdict, checked.summary, checked.summary, told, severity)


def record(
    s: Session,
    project: Project,
    report: DriftReport | PerformanceReport,
    model: str,
    matters: Sequence[Matter],
) -> None:
    """Write the report, and open, update or end the alerts of its matters."""
    s.add(report)
    s.flush()
    for matter in matters:
        _announce(s, project, report, model, matter)
    failpoints.reach("report.written")


def _verdict(details: Mapping[str, Any]) -> str:
    return str(details.get("verdict", "insufficient_data"))


def _announce(
    s: Session,
    project: Project,
    report: DriftReport | PerformanceReport,
    model: str,
    matter: Matter,
) -> None:
    """Open or end the alert if enough of the last reports about the version agree.

    A verdict of insufficient data does not change an ongoing alert.
    """
    chosen, rule = project.settings.model(model), project.settings.alerts
    opens = chosen.alert_open_after or rule.open_after
    ends = chosen.alert_resolve_after or rule.resolve_after
    said = [matter.said(details) for details in _past(s, report, opens, ends)]
    key, now = f"{matter.name}:{model}", project.now()
    ongoing = alerts.ongoing(s, key=key)
    if policy.is_bad(said[0]) and (ongoing or policy.opens(said, opens)):
        new = Alert(
            key=key,
            kind=matter.kind,
            severity=matter.severity,
            model=model,
            summary=f"{model} {matter.summary}",
            details=dict(matter.details),
            opened_at=now,
            last_seen_at=now,
        )
        alerting.open_in(s, project, new)
    elif ongoing and not policy.is_bad(said[0]) and policy.ends(said, ends):
        for alert in ongoing:
            alerting.resolve_in(s, project, alert, matter.ended)


def _past(
    s: Session, report: DriftReport | PerformanceReport, opens: str, ends: int
) -> Sequence[Mapping[str, Any]]:
    """Return the details of the report and, if the rules look at more than one, those before."""
    if table.out_of(opens)[1] == ends == 1:
        return [report.details]
    return reports.last_details(s, type(report), report.model_version_id)
