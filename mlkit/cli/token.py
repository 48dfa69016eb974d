"""``mlkit token``."""

from typing import TYPE_CHECKING, Any

import click

from mlkit.cli import output
from mlkit.cli.output import json_option, with_project

if TYPE_CHECKING:
    from mlkit.project import Project
    from mlkit.store.tokens import Scope


@click.group()
def token() -> None:
    """Create, list and revoke access tokens of the server.

    While a project has no token, its server answers on loopback only and everyone there. With the
    first one, every request needs a token: Authorization: Bearer TOKEN.
    """


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["predict", "read", "admin"]),
    default="predict",
    show_default=True,
    help="predict: predictions and actuals; read: pages; admin: everything.",
)
@json_option
@with_project
def create(project: "Project", *, name: str, scope: "Scope", as_json: bool) -> None:
    """Make a token called NAME and print it, this once."""
    from mlkit.flows import access

    output.emit(access.create(project, name, scope=scope), as_json=as_json, render=_print_created)


@token.command("list")
@json_option
@with_project
def list_(project: "Project", *, as_json: bool) -> None:
    """List every token without its secret."""
    from mlkit.flows import access

    output.emit(access.list_tokens(project), as_json=as_json, render=_print_tokens)


@token.command()
@click.argument("identifier", metavar="ID")
@json_option
@with_project
def revoke(project: "Project", *, identifier: str, as_json: bool) -> None:
    """End the token ID; running servers refuse it within a second."""
    from mlkit.flows import access

    output.emit(access.revoke(project, identifier), as_json=as_json, render=_print_revoked)


def _print_created(made: Any) -> None:
    click.echo(made.token)
    click.echo(f"token {made.id} ({made.name}, {made.scope}): shown only now, keep it", err=True)


def _print_tokens(tokens: Any) -> None:
    output.print_table(
        ["id", "name", "scope", "created", "revoked"],
        [(t.id, t.name, t.scope, t.created_at, t.revoked_at) for t in tokens],
    )


def _print_revoked(done: Any) -> None:
    click.echo(f"token {done.id} ({done.name}) is revoked")
