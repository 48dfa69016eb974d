"""``mlkit data rebuild|export|gc``: what a dataset needs after its versions are there."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.rebuild import Rebuilt
    from mlkit.project import Project

reference_argument = click.argument("reference", metavar="NAME[@V]")


@click.command()
@reference_argument
@output.json_option
@output.with_project
def rebuild(project: "Project", reference: str, *, as_json: bool) -> None:
    """Make the rows of a version again from its record and prove that they are the same bytes.

    A file that was collected (`mlkit data gc`) or lost is put back. Exit code 3, with the reason,
    if the bytes differ or the rows cannot be made any more.
    """
    from mlkit.flows import rebuild as flow  # imports pyarrow

    with output.progress() as display:
        task = display.add_task("rebuilding", total=None)
        done = flow.rebuild(
            project, reference, progress=lambda text: display.update(task, description=text)
        )
    output.emit(done, as_json=as_json, render=_render_rebuilt)


def _render_rebuilt(done: "Rebuilt") -> None:
    put_back = "; its file was put back" if done.restored else ""
    click.echo(
        f"{done.dataset}@{done.version}: {done.rows:,} rows made again, the same bytes "
        f"(sha256 {done.sha256[:12]}){put_back}"
    )
