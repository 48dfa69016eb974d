"""``mlkit actual``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlkit.cli import data_source, output
from mlkit.cli.output import json_option, with_project
from mlkit.provenance import Stated

if TYPE_CHECKING:
    from mlkit.project import Project

_SHOWN = 5


@click.group()
def actual() -> None:
    """Add actuals, the true values, to the prediction log."""


@actual.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--correct", is_flag=True, help="They may take the place of others, which stay on record."
)
@data_source.dialect_options
@json_option
@with_project
def add(project: "Project", *, file: Path, correct: bool, stated: Stated, as_json: bool) -> None:
    """Add the actuals in FILE (CSV or Parquet).

    Columns: prediction_id, actual, and observed_at if it is known. The same value again is counted
    as a duplicate. Another one is refused, and nothing is stored, unless you say --correct. A CSV
    file is read as those that the model was trained on, unless you say how it is written.
    """
    from mlkit.flows.log import actual_file

    received = actual_file.add(project, file, stated, correct=correct, warn=_warn)
    output.emit(received, as_json=as_json, render=_print_received)


def _warn(warning: str) -> None:
    output.say(f"warning: {warning}", err=True)


def _print_received(received: Any) -> None:
    output.say(
        f"{received.accepted} accepted, {received.duplicates} had one already, "
        f"{len(received.unknown)} belong to no prediction of this project"
    )
    if received.corrected:
        output.say(f"{received.corrected} corrected; the old values are in actual_correction")
    for identifier in received.unknown[:_SHOWN]:
        output.say(f"unknown: {identifier}", err=True)
    for label, count in [*received.unknown_labels.items()][:_SHOWN]:
        output.say(
            f"warning: {count} with the label '{label}', which the model does not know: "
            "a typo? Such rows are not measured and not learned from",
            err=True,
        )
