"""``mlkit predict``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import data_source, output
from mlkit.provenance import Stated

if TYPE_CHECKING:
    from mlkit.flows.predict import Predicted
    from mlkit.project import Project


@click.command()
@click.argument("model")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this .csv or .parquet file. Default: CSV to stdout.",
)
@click.option("--version", type=click.IntRange(1), help="Use this version. Default: the champion.")
@data_source.dialect_options
@output.json_option
@output.with_project
def predict(
    project: "Project",
    *,
    model: str,
    file: Path,
    target: Path | None,
    version: int | None,
    stated: Stated,
    as_json: bool,
) -> None:
    """Predict every row of FILE with the champion of MODEL.

    The output has the columns of FILE, the prediction and, for classes, their probabilities: the
    same numbers that the server gives. Nothing is logged.

    A CSV file is read as those that the model was trained on, unless you say how it is written.

    Columns that the model has from feature views may be missing in FILE; they are looked up by the
    column of the view's entity, as the server does now.
    """
    from mlkit.flows import predict as flow  # imports scikit-learn

    if as_json and target is None:
        raise click.UsageError("--json needs --output FILE, as the predictions go to stdout")
    with output.progress() as display:
        task = display.add_task("predicting", total=None)
        done = flow.predict(
            project,
            model,
            file,
            output=target,
            version=version,
            stated=stated,
            progress=lambda rows: display.update(task, description=f"predicted {rows:,} rows"),
        )
    output.emit(done, as_json=as_json, render=_render)


def _render(done: "Predicted") -> None:
    place = "" if done.output == "-" else f" to {done.output}"
    output.say(f"{done.model} v{done.version} predicted {done.rows} rows{place}", err=True)
    for warning in done.warnings:
        output.say(f"warning: {warning}", err=True)
