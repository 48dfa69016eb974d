"""``mlkit data rebuild|export|gc|erase``: maintenance of existing dataset versions."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.data.collect import Collected
    from mlkit.flows.data.data_export import Exported
    from mlkit.flows.erasure.subject import Erased
    from mlkit.flows.lineage.rebuild import Rebuilt
    from mlkit.project import Project

_SHOWN = 20

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
    from mlkit.flows.lineage import rebuild as flow  # imports pyarrow

    with output.progress() as display:
        task = display.add_task("rebuilding", total=None)
        done = flow.rebuild(
            project, reference, progress=lambda text: display.update(task, description=text)
        )
    output.emit(done, as_json=as_json, render=_render_rebuilt)


@click.command()
@reference_argument
@click.option(
    "-o", "--output", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write this .csv or .parquet file. Default: CSV on the standard output.",
)  # fmt: skip
@output.with_project
def export(project: "Project", reference: str, *, file: Path | None) -> None:
    """Write the rows of a version, the newest by default, as CSV or Parquet."""
    from mlkit.flows.data import data_export  # imports pyarrow

    _render_exported(data_export.export(project, reference, file))


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.json_option
@output.with_project
def gc(project: "Project", *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete the files of versions that nothing refers to.

    Kept are the newest version of each dataset, those that a model was trained on, that an open
    alert speaks of, and all that these were made of. A collected version stays on record, and
    `mlkit data rebuild` can make its rows again while their source is there.
    """
    from mlkit.flows.data import collect  # imports SQLAlchemy

    found = collect.look(project)
    if not dry_run and (found.versions or found.files):
        _confirm(found, yes=yes)
        with output.progress() as display:
            task = display.add_task("collecting", total=None)
            found = collect.collect(project, lambda text: display.update(task, description=text))
    output.emit(found, as_json=as_json, render=_render_collected)


@click.command()
@click.argument("name")
@click.argument("entities", metavar="[ENTITY]...", nargs=-1)
@click.option("--reason", default="", help="Why, for the audit trail.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.json_option
@output.with_project
def erase(
    project: "Project",
    name: str,
    entities: tuple[str, ...],
    *,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase every row about ENTITY from the versions of NAME and from the log of its models.

    A version keeps its number and gets a new sha256; the old bytes are deleted. The entity is
    remembered by a keyed hash alone, and its rows are left out of every later version. What only
    they had leaves rules, profiles, models and messages. Models that have learned from them are
    named: train them again. Without ENTITY, an erasure that was cut off is finished.

    Exit code 4 while another process reads an older state of the database: it is named, and the
    erasure stays unfinished until the job `alerts` or this command succeeds.
    """
    from mlkit.flows.erasure import subject  # imports pyarrow

    whom = f"{len(set(entities))} entities" if entities else "the entities asked for before"
    _ask(f"erase every row about {whom} from dataset '{name}'?", yes=yes)
    with output.progress() as display:
        task = display.add_task("erasing", total=None)
        done = subject.erase(
            project, name, entities, reason=reason,
            progress=lambda text: display.update(task, description=text),
        )  # fmt: skip
    output.emit(done, as_json=as_json, render=_render_erased)


def _confirm(found: "Collected", *, yes: bool) -> None:
    """Ask for confirmation before deletion; a script has to pass ``--yes``."""
    if not yes and sys.stdin.isatty():
        _render_collected(found)
    _ask("delete these files?", yes=yes)


def _ask(question: str, *, yes: bool) -> None:
    """Ask for confirmation on a terminal; a script has to pass ``--yes``."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; say --yes if you mean it")
    click.confirm(question, abort=True, err=True)


def _render_collected(found: "Collected") -> None:
    verb = "would be deleted" if found.dry_run else "deleted"
    if found.versions:
        output.print_table(
            ("version", "rows", "size"),
            [(v.reference, v.rows, output.size(v.size_bytes)) for v in found.versions],
        )
    output.say(
        f"{verb}: {len(found.versions)} versions and {found.files} files that no row names, "
        f"{output.size(found.size_bytes)}"
    )


def _render_erased(done: "Erased") -> None:
    for one in done.versions:
        what = f"{one.rows:,} rows erased"
        if one.cleared:
            what = f"features of {one.cleared:,} rows erased"
        output.say(f"{one.reference}: {what}, sha256 now {one.sha256[:12]}")
    output.say(
        f"{done.subjects} subjects erased from dataset '{done.dataset}': "
        f"{sum(one.rows for one in done.versions):,} rows of {len(done.versions)} versions, "
        f"{done.predictions:,} predictions; later versions leave them out"
    )
    if done.unknown:
        shown = ", ".join(f"'{entity}'" for entity in done.unknown[:_SHOWN])
        more = f" and {len(done.unknown) - _SHOWN} more" if len(done.unknown) > _SHOWN else ""
        output.say(
            f"note: no row is about {shown}{more}; are they written as in the data?", err=True
        )
    if done.models:
        output.say(f"trained on rows that are gone: {', '.join(done.models)}; train again")


def _render_exported(done: "Exported") -> None:
    words = f"{done.rows:,} rows of {done.dataset}@{done.version} written to {done.file}"
    output.say(words, err=done.file == "-")


def _render_rebuilt(done: "Rebuilt") -> None:
    put_back = "; its file was put back" if done.restored else ""
    output.say(
        f"{done.dataset}@{done.version}: {done.rows:,} rows made again, the same bytes "
        f"(sha256 {done.sha256[:12]}){put_back}"
    )
