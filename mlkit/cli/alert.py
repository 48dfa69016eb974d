"""``mlkit alert``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.alerting import AlertLine, Outcome
    from mlkit.project import Project


@click.group()
def alert() -> None:
    """List, acknowledge and test alerts.

    An alert is one row for as long as its matter lasts; it ends by itself when the matter does.
    """


@alert.command("list")
@click.option("--all", "show_all", is_flag=True, help="Show alerts that have ended, too.")
@click.option("--limit", default=50, show_default=True, help="Most alerts to show with --all.")
@output.json_option
@output.with_project
def list_(project: "Project", *, show_all: bool, limit: int, as_json: bool) -> None:
    """List the ongoing alerts."""
    from mlkit.flows import alerting

    found = alerting.newest(project, limit) if show_all else alerting.ongoing(project)
    output.emit(found, as_json=as_json, render=_render)


@alert.command()
@click.argument("alert_id", metavar="ID", type=int)
@output.json_option
@output.with_project
def ack(project: "Project", *, alert_id: int, as_json: bool) -> None:
    """Record that you take care of the alert ID."""
    from mlkit.flows import alerting

    done = alerting.ack(project, alert_id)
    output.emit(
        done,
        as_json=as_json,
        render=lambda line: click.echo(f"alert {line.id} is {line.acked_by}'s: {line.summary}"),
    )


@alert.command()
@output.json_option
@output.with_project
def test(project: "Project", *, as_json: bool) -> None:
    """Send a test message to everything that is configured under [alerts]."""
    from mlkit.flows import alerting

    outcomes = alerting.test(project)
    output.emit(outcomes, as_json=as_json, render=_render_outcomes)
    click.get_current_context().exit(0 if all(outcome.delivered for outcome in outcomes) else 1)


def _render(found: "list[AlertLine]") -> None:
    if not found:
        click.echo("no alert is ongoing")
        return
    headers = ("id", "status", "severity", "since", "seen", "summary")
    rows = [(a.id, a.status, a.severity, a.opened_at, a.times_seen, a.summary) for a in found]
    output.print_table(headers, rows)
    for line in found:
        for lost in line.undelivered:
            tried = f"{lost.attempts} attempts: {lost.error}"
            click.echo(f"alert {line.id} was not delivered to {lost.sink}, {tried}", err=True)


def _render_outcomes(outcomes: "list[Outcome]") -> None:
    rows = [(o.sink, o.delivered, o.error) for o in outcomes]
    output.print_table(("sink", "delivered", "error"), rows)
