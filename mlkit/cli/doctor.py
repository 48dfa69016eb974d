"""``mlkit doctor``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.doctor.checkup import Examined

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@output.json_option
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Check the machine and the project for what breaks at night.

    Exit code 3 if any check failed; a warning leaves it at 0.
    """
    from mlkit import timetable
    from mlkit.flows.doctor import checkup as flow  # imports SQLAlchemy

    with output.progress() as display:
        task = display.add_task("checking", total=None)
        found = flow.examine(
            ctx.find_root().obj,
            progress=lambda text: display.update(task, description=text),
            closer={"timetable": timetable.check},
        )
    output.emit(found, as_json=as_json, render=_render)
    ctx.exit(3 if found.level == "fail" else 0)


def _render(examined: "Examined") -> None:
    for line in examined.checks:
        output.say(f"{line.level:5}", fg=_COLOURS[line.level], nl=False)
        output.say(f"{line.check}: {line.found}")
        if line.fix:
            output.say(f"     fix: {line.fix}")
