"""``mlkit drift baseline``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.monitoring.baselines import BaselineInfo
    from mlkit.project import Project


@click.group()
def baseline() -> None:
    """Keep the profile of a period of the log, to compare later windows with it."""


@baseline.command()
@click.argument("model")
@click.argument("name")
@click.option("--window", metavar="DURATION", help="The last so many days of the log, as in 30d.")
@click.option("--start", metavar="TIME", help="First moment: a date, a time (UTC), or an age.")
@click.option("--end", metavar="TIME", help="End, with --start. Default: now.")
@output.json_option
@output.with_project
def add(
    project: "Project", *, model: str, name: str, window: str | None, start: str | None,
    end: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a baseline of the requests to MODEL, and call it NAME."""
    from mlkit.flows.monitoring import baselines

    if (window is None) == (start is None) or (end is not None and start is None):
        raise click.UsageError("give either --window, or --start and perhaps --end")
    stretch = baselines.window(project, length=window, start=start, end=end)
    output.emit(baselines.add(project, model, name, stretch), as_json=as_json, render=_print_added)


@baseline.command("list")
@click.argument("model", required=False)
@output.json_option
@output.with_project
def list_(project: "Project", *, model: str | None, as_json: bool) -> None:
    """List the baselines of MODEL, or of all models."""
    from mlkit.flows.monitoring import baselines

    output.emit(baselines.list_baselines(project, model), as_json=as_json, render=_print_table)


@baseline.command()
@click.argument("model")
@click.argument("name")
@output.json_option
@output.with_project
def remove(project: "Project", *, model: str, name: str, as_json: bool) -> None:
    """Forget the baseline NAME of MODEL."""
    from mlkit.flows.monitoring import baselines

    done = baselines.remove(project, model, name)
    output.emit(
        done,
        as_json=as_json,
        render=lambda gone: output.say(f"baseline {gone.name} of {gone.model} is removed"),
    )


def _print_added(made: "BaselineInfo") -> None:
    for warning in made.warnings:
        output.say_all(f"warning: {warning}", err=True)
    output.say(
        f"baseline {made.name} of {made.model}: {made.rows} rows; compare with it by "
        f"mlkit drift check {made.model} --against {made.name}"
    )


def _print_table(found: "list[BaselineInfo]") -> None:
    if not found:
        output.say(
            "no baseline yet; make one with: mlkit drift baseline add MODEL NAME --window 30d"
        )
        return
    output.print_table(
        ("model", "name", "from", "to", "rows", "versions", "answers of", "made", "by", "in use"),
        [
            (
                b.model, b.name, b.start, b.end, b.rows, ", ".join(f"v{n}" for n in b.versions),
                None if b.answers_of is None else f"v{b.answers_of}", b.created_at, b.created_by,
                b.used,
            )
            for b in found
        ],
    )  # fmt: skip
