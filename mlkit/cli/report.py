"""``mlkit report``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.project import Project


@click.command()
@click.argument("model")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write the page to this file, replacing it, or to stdout (-). Default: report-MODEL.html.",
)
@click.option("--window", metavar="DURATION", help="Rows of the log to draw, for example 1d.")
@output.json_option
@output.with_project
def report(
    project: "Project", *, model: str, target: Path | None, window: str | None, as_json: bool
) -> None:
    """Draw what is known of MODEL as one HTML page that needs nothing else.

    Verdicts and what to do next, drift and performance over time, every feature beside what the
    champion was trained on, alerts. Features are those of the last drift check, or of --window.
    Nothing is checked, and no alert is opened. With --json, values instead of a page; a page as
    well if --output names a file.
    """
    from mlkit.flows.monitoring import report as flow
    from mlkit.pages import model as page

    if as_json and target == output.STDOUT:
        raise click.UsageError("--json prints to stdout; name another file with --output")
    found = flow.read(project, model, window=window)
    if target is not None or not as_json:
        output.write_page(page.render(found), target or Path(f"report-{model}.html"))
    if as_json:
        output.write_json(found)
