"""``mlkit db``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.operations.database import SchemaState


@click.group()
def db() -> None:
    """Show and upgrade the schema of the database."""


@db.command()
@output.json_option
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """Show where the database is and whether its schema is that of this program."""
    from mlkit.flows.operations import database  # imports SQLAlchemy

    output.emit(database.schema_state(ctx.find_root().obj), as_json=as_json, render=_render)


@db.command()
@output.json_option
@click.pass_context
def upgrade(ctx: click.Context, *, as_json: bool) -> None:
    """Bring the database to the schema of this program; a SQLite file is backed up first."""
    from mlkit.flows.operations import database  # imports SQLAlchemy

    output.emit(database.upgrade_schema(ctx.find_root().obj), as_json=as_json, render=_render)


def _render(state: "SchemaState") -> None:
    output.print_table(
        ("what", "value"),
        [
            ("database", state.location),
            ("engine", state.engine),
            ("schema", f"{state.revision or 'empty'} ({state.state}; this program: {state.head})"),
        ],
    )
