"""``mlkit status``."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from mlkit.cli import output, spark
from mlkit.errors import MlkitError
from mlkit.pages import words

if TYPE_CHECKING:
    from mlkit.flows.alerts.alerting import AlertLine
    from mlkit.flows.operations.status import ModelLine, VerdictLine
    from mlkit.project import Project


@click.command()
@output.json_option
@output.with_project
def status(project: "Project", *, as_json: bool) -> None:
    """Show models, traffic, verdicts, alerts and jobs on one screen."""
    import msgspec

    from mlkit.flows.features import freshness, other_code  # imports SQLAlchemy
    from mlkit.flows.operations import status as flow

    screen = {**msgspec.structs.asdict(flow.read(project)), **_jobs(project)}
    models = screen["models"]
    screen["problems"] += [f"{one.model}: {one.problem}" for one in models if one.problem]
    screen["problems"] += [trouble.text for trouble in freshness.troubles(project)]
    screen["problems"] += other_code.troubles(project).values()
    output.emit(screen, as_json=as_json, render=_render)


def _jobs(project: "Project") -> dict[str, Any]:
    """Return the plan of the timetable; an unreadable one must not hide the other sections."""
    from mlkit import timetable
    from mlkit.scheduling import lateness

    try:
        return {"jobs": timetable.plan(project), "problems": lateness.problems(project)}
    except MlkitError as error:
        return {"jobs": [], "problems": [str(error)]}


def _render(screen: dict[str, Any]) -> None:
    now = screen["at"]
    output.say(f"{screen['project']} at {output.cell(now)}")
    _render_models(screen["models"], now)
    _render_alerts(screen["alerts"], now)
    output.print_table(
        ("job", "last", "status", "summary", "next"),
        [
            (j.job, _ago(j.ended_at, now), j.status, j.summary, _until(j.next, now))
            for j in screen["jobs"]
        ],
    )
    for problem in screen["problems"]:
        output.say(f"problem: {problem}", fg="yellow")


def _render_models(models: "tuple[ModelLine, ...]", now: datetime) -> None:
    if not models:
        output.say_all("\nno model yet; train one with: mlkit train MODEL --data NAME --promote")
        return
    output.print_table(
        ("model", "champion", "rows 24 h", "known", "drift", "performance"),
        [
            (m.model, _champion(m, now), m.rows_24h, m.actuals_24h, _verdict(m.drift, now),
             _verdict(m.performance, now))
            for m in models
        ],
    )  # fmt: skip


def _render_alerts(alerts: "tuple[AlertLine, ...]", now: datetime) -> None:
    if not alerts:
        output.say_all("no open alerts\n")
        return
    output.print_table(
        ("alert", "about", "severity", "status", "since", "summary"),
        [(a.id, a.key, a.severity, a.status, _ago(a.opened_at, now), a.summary) for a in alerts],
    )


def _champion(line: "ModelLine", now: datetime) -> str | None:
    if line.champion is None or line.since is None:
        return None
    return f"v{line.champion}, {words.length(now - line.since)}"


def _verdict(line: "VerdictLine | None", now: datetime) -> str | None:
    if line is None:
        return None
    verdict = line.verdict.replace("_", " ")
    return f"{spark.line(line.history)} {verdict} {words.length(now - line.at)}"


def _ago(moment: datetime | None, now: datetime) -> str | None:
    return None if moment is None else words.ago(moment, now)


def _until(moment: datetime, now: datetime) -> str:
    return f"{moment:%a %H:%M} (in {words.length(moment - now)})"
