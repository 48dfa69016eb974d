"""``mlkit backup``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.operations.backup import Created
    from mlkit.flows.operations.restore import Restored, Verified
    from mlkit.project import Project

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def backup() -> None:
    """Create, verify and restore backups."""


@backup.command()
@click.argument("file", required=False, type=_FILE)
@output.json_option
@output.with_project
def create(project: "Project", file: Path | None, *, as_json: bool) -> None:
    """Write the whole project to FILE, by default a dated file in backups/.

    The file holds the signing key and logged predictions: keep it as secret as the project.
    """
    from mlkit.flows.operations import backup as flow  # imports SQLAlchemy

    with output.progress() as display:
        task = display.add_task("backup", total=None)
        made = flow.create(
            project, file, progress=lambda text: display.update(task, description=text)
        )
    output.emit(made, as_json=as_json, render=_render_created)


@backup.command()
@click.argument("file", type=_FILE)
@output.json_option
def verify(file: Path, *, as_json: bool) -> None:
    """Check every byte of FILE, its database and its audit trail. Exit code 3 if damaged."""
    from mlkit.flows.operations import restore as flow  # imports SQLAlchemy

    output.emit(flow.verify(file), as_json=as_json, render=_render_verified)


@backup.command()
@click.argument("file", type=_FILE)
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the restored project; empty or not there yet.",
)
@click.option("--replace", is_flag=True, help="Keep what is in that folder beside it, renamed.")
@output.json_option
def restore(file: Path, target: Path, *, replace: bool, as_json: bool) -> None:
    """Restore the project in FILE."""
    from mlkit.flows.operations import restore as flow  # imports SQLAlchemy

    output.emit(flow.restore(file, target, replace=replace), as_json=as_json, render=_restored)


def _render_created(made: "Created") -> None:
    output.say(f"wrote {made.file}: {made.members} files, {made.size_bytes / 1e6:.1f} MB")


def _render_verified(sound: "Verified") -> None:
    output.say(
        f"{sound.file} is sound: made {sound.created_at:%Y-%m-%d %H:%M:%SZ} "
        f"by mlkit {sound.mlkit}, {sound.members} files, "
        f"predictions up to number {sound.last_prediction_seq}"
    )


def _restored(done: "Restored") -> None:
    output.say(f"restored {done.project} as of {done.backup.created_at:%Y-%m-%d %H:%M:%SZ}")
    if done.kept is not None:
        output.say(f"what was there before is in {done.kept}")
    if done.to_erase is None:
        output.say("what it had erased since cannot be read: erase those subjects again")
    for name in done.to_erase or ():
        output.say(f"rows erased since are back; erase them with: mlkit data erase {name} --yes")
