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
@click.option("--model", "models", multiple=True, help="A model it opens; repeat. Default: all.")
@click.option("--expires", metavar="DURATION", help="How long it opens, for example 90d.")
@click.option("--rate", type=click.IntRange(1), help="Requests a second. Default: server.rate.")
@json_option
@with_project
def create(
    project: "Project",
    *,
    name: str,
    scope: "Scope",
    models: tuple[str, ...],
    expires: str | None,
    rate: int | None,
    as_json: bool,
) -> None:
    """Make a token called NAME and print it, this once."""
    from mlkit.flows.operations import access

    made = access.create(project, name, scope=scope, models=models, expires=expires, rate=rate)
    output.emit(made, as_json=as_json, render=_print_created)


@token.command("list")
@json_option
@with_project
def list_(project: "Project", *, as_json: bool) -> None:
    """List every token without its secret."""
    from mlkit.flows.operations import access

    output.emit(access.list_tokens(project), as_json=as_json, render=_print_tokens)


@token.command()
@click.argument("identifier", metavar="ID")
@json_option
@with_project
def revoke(project: "Project", *, identifier: str, as_json: bool) -> None:
    """End the token ID; running servers refuse it within a second."""
    from mlkit.flows.operations import access

    output.emit(access.revoke(project, identifier), as_json=as_json, render=_print_revoked)


def _print_created(made: Any) -> None:
    output.say(made.token)
    output.say(f"token {made.id} ({made.name}, {made.scope}): shown only now, keep it", err=True)


def _print_tokens(tokens: Any) -> None:
    output.print_table(
        ["id", "name", "scope", "models", "rate", "created", "expires", "last used", "revoked"],
        [
            (
                t.id,
                t.name,
                t.scope,
                ", ".join(t.models) if t.models else "all",
                t.rate,
                t.created_at,
                t.expires_at,
                t.last_used_at,
                t.revoked_at,
            )
            for t in tokens
        ],
    )


def _print_revoked(done: Any) -> None:
    output.say(f"token {done.id} ({done.name}) is revoked")
