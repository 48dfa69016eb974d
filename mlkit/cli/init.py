"""``mlkit init``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.operations.setup import Made


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--group", metavar="NAME", help="Let the members of this Linux group all work on it.")
@output.json_option
def init(directory: Path, *, group: str | None, as_json: bool) -> None:
    """Make a project in DIR.

    DIR may hold files already, your CSV for instance; none of them is changed.
    """
    from mlkit.flows.operations import setup  # imports SQLAlchemy

    output.emit(setup.make(directory, group=group), as_json=as_json, render=_render)


def _render(made: "Made") -> None:
    output.say(f"made a project in {made.project}: {', '.join(made.files)}")
    output.say("next:")
    for command in made.next:
        output.say(f"  {command}")
