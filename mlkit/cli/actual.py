"""``mlkit actual``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlkit.cli import output
from mlkit.cli.output import json_option, with_project

if TYPE_CHECKING:
    from mlkit.project import Project

_SHOWN = 5


@click.group()
def actual() -> None:
    """Add what really happened to the prediction log."""


@actual.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@with_project
def add(project: "Project", *, file: Path, as_json: bool) -> None:
    """Add the actuals in FILE (CSV or Parquet).

    Columns: prediction_id, actual, and observed_at if it is known. The first actual of a
    prediction stands; a later one is counted as a duplicate.
    """
    from mlkit.flows import actual_file

    output.emit(actual_file.add(project, file), as_json=as_json, render=_print_received)


def _print_received(received: Any) -> None:
    output.say(
        f"{received.accepted} accepted, {received.duplicates} had one already, "
        f"{len(received.unknown)} belong to no prediction of this project"
    )
    for identifier in received.unknown[:_SHOWN]:
        output.say(f"unknown: {identifier}", err=True)
    for label, count in [*received.unknown_labels.items()][:_SHOWN]:
        output.say(
            f"warning: {count} with the label '{label}', which the model does not know: "
            "a typo? Such rows are not measured and not learned from",
            err=True,
        )
