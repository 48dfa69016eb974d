"""``mlkit alert``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.alerts.alerting import AlertLine, Outcome, Undelivered
    from mlkit.project import Project


@click.group()
def alert() -> None:
    """List, acknowledge, snooze and test alerts.

    An alert is one row for as long as its problem lasts; it ends by itself when the problem does.
    """


@alert.command("list")
@click.option(
    "--open", "show", flag_value="open", help="Only those nobody has acknowledged or snoozed."
)
@click.option("--all", "show", flag_value="all", help="Show alerts that have ended, too.")
@click.option("--limit", default=50, show_default=True, help="Most alerts to show with --all.")
@output.json_option
@output.with_project
def list_(project: "Project", *, show: str | None, limit: int, as_json: bool) -> None:
    """List the ongoing alerts, and what to do about each."""
    from mlkit.flows.alerts import alerting

    if show == "all":
        found = alerting.newest(project, limit)
    else:
        found = alerting.unattended(project) if show else alerting.ongoing(project)
    output.emit(
        found, as_json=as_json, render=lambda lines: _render(lines, only_open=show == "open")
    )


@alert.command()
@click.argument("alert_id", metavar="ID", type=int)
@output.json_option
@output.with_project
def ack(project: "Project", *, alert_id: int, as_json: bool) -> None:
    """Record that you take care of the alert ID."""
    from mlkit.flows.alerts import alerting

    done = alerting.ack(project, alert_id)
    output.emit(
        done,
        as_json=as_json,
        render=lambda line: output.say(f"alert {line.id} is {line.acked_by}'s: {line.summary}"),
    )


@alert.command()
@click.argument("alert_id", metavar="ID", type=int)
@click.option("--for", "length", required=True, metavar="TIME", help="How long: 90m, 4h, 2d or 1w.")
@output.json_option
@output.with_project
def snooze(project: "Project", *, alert_id: int, length: str, as_json: bool) -> None:
    """Send nothing about the alert ID for a time.

    If it still goes on then, everybody is reminded.
    """
    from mlkit.flows.alerts import alerting

    output.emit(
        alerting.snooze(project, alert_id, length),
        as_json=as_json,
        render=lambda line: output.say(
            f"alert {line.id} is silent until {output.cell(line.snoozed_until)}: {line.summary}"
        ),
    )


@alert.command()
@output.json_option
@output.with_project
def test(project: "Project", *, as_json: bool) -> None:
    """Send a test message to everything that is configured under [alerts]."""
    from mlkit.flows.alerts import alerting

    outcomes = alerting.test(project)
    output.emit(outcomes, as_json=as_json, render=_render_outcomes)
    click.get_current_context().exit(0 if all(outcome.delivered for outcome in outcomes) else 1)


def _render(found: "list[AlertLine]", *, only_open: bool = False) -> None:
    if not found:
        output.say("no alert is ongoing" if not only_open else "every ongoing alert is attended to")
        return
    headers = ("id", "status", "severity", "since", "seen", "summary")
    rows = [(a.id, _status(a), a.severity, a.opened_at, _seen(a), a.summary) for a in found]
    output.print_table(headers, rows)
    for line in found:
        if line.next:  # not in the table: a wrapped command cannot be copied
            output.say(f"alert {line.id}, what to do next:")
        for command in line.next:
            output.say(f"  {command}")
    for line in found:
        for lost in line.undelivered:
            output.say(f"alert {line.id} was not delivered to {_missed(lost)}", err=True)


def _status(line: "AlertLine") -> str:
    if line.status == "snoozed":
        return f"snoozed until {output.cell(line.snoozed_until)}"
    return f"acked by {line.acked_by}" if line.status == "acked" else line.status


def _seen(line: "AlertLine") -> str:
    return f"{line.times_seen}, back {line.flaps} times" if line.flaps else str(line.times_seen)


def _missed(lost: "Undelivered") -> str:
    again = f"next at {output.cell(lost.next_attempt_at)}" if lost.next_attempt_at else "soon again"
    return f"{lost.sink}, {lost.attempts} attempts: {lost.error or 'on its way'} ({again})"


def _render_outcomes(outcomes: "list[Outcome]") -> None:
    rows = [(o.sink, o.delivered, o.error) for o in outcomes]
    output.print_table(("sink", "delivered", "error"), rows)
