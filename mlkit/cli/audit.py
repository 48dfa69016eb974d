"""``mlkit audit``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.operations.audit_check import Verified
    from mlkit.project import Project


@click.group()
def audit() -> None:
    """Check the audit trail, or accept the database as it stands."""


@audit.command()
@click.option(
    "--expect",
    metavar="NUMBER:HASH",
    help="An event that must be in it, as the log of the system has it.",
)
@output.json_option
@output.with_project
def verify(project: "Project", expect: str | None, *, as_json: bool) -> None:
    """Compare the audit trail with the key, its witness, the backups and the rows that it covers.

    Exit code 3 if anything was edited, added, removed, taken back or lost.
    """
    from mlkit.flows.operations import audit_check  # imports SQLAlchemy

    output.emit(audit_check.verify(project, expect), as_json=as_json, render=_render)


@audit.command()
@click.option("--reason", required=True, help="Why the database is right as it is.")
@output.json_option
@output.with_project
def seal(project: "Project", reason: str, *, as_json: bool) -> None:
    """Accept the database as it stands, for example after a restore by the database's own tools.

    What was wrong goes on record with the reason; from here on everything is checked anew.
    """
    from mlkit.flows.operations import audit_check  # imports SQLAlchemy

    output.emit(audit_check.seal(project, reason), as_json=as_json, render=_render)


def _render(found: "Verified") -> None:
    output.say(f"{found.events} events, unbroken and as witnessed; the last is {found.hash}")
