"""``mlkit log``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlkit.cli import output
from mlkit.cli.output import json_option, with_project

if TYPE_CHECKING:
    from mlkit.project import Project

_SHOWN = ("served_at", "version", "value", "actual", "latency_us", "id")


@click.group()
def log() -> None:
    """Show, export and seal the prediction log.

    In the database the view log_MODEL has the recent rows with their features as columns.
    """


@log.command()
@click.argument("model")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows.")
@json_option
@with_project
def show(project: "Project", *, model: str, limit: int, as_json: bool) -> None:
    """Show the newest predictions of MODEL, newest first."""
    from mlkit.flows.log import log_export

    output.emit(log_export.show(project, model, limit=limit), as_json=as_json, render=_print_rows)


@log.command()
@click.argument("model")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--since", help="Oldest row: a date, a time (UTC), or an age such as 7d.")
@click.option("--until", help="Rows before this: a date, a time (UTC), or an age.")
@click.option("--for-excel", is_flag=True, help="Defuse text that a spreadsheet would run.")
@json_option
@with_project
def export(
    project: "Project",
    *,
    model: str,
    file: Path,
    since: str | None,
    until: str | None,
    for_excel: bool,
    as_json: bool,
) -> None:
    """Write the whole log of MODEL, sealed rows included, to FILE (.csv or .parquet)."""
    from mlkit.flows.log import log_export

    done = log_export.export(project, model, file, since=since, until=until, for_excel=for_excel)
    output.emit(done, as_json=as_json, render=_print_exported)


@log.command()
@click.option("--older-than", help="Age such as 30d. Default: log.seal_after.")
@json_option
@with_project
def seal(project: "Project", *, older_than: str | None, as_json: bool) -> None:
    """Move old predictions of all models from the database to Parquet files under log/."""
    from mlkit.flows.log import logs

    done = logs.seal(project, older_than=older_than)
    output.emit(done, as_json=as_json, render=_print_sealed)


def _print_rows(rows: Any) -> None:
    if not rows:
        output.say("no prediction yet (see: mlkit serve)")
        return
    headers = [name.replace("_", " ") for name in (*_SHOWN, "features")]
    output.print_table(
        headers, [(*map(row.get, _SHOWN), _features(row["features"])) for row in rows]
    )


def _features(features: dict[str, Any]) -> str:
    return " ".join(f"{name}={_told(value)}" for name, value in features.items())


def _told(value: Any) -> object:
    """Format a feature value, with enough digits for a geographic coordinate."""
    if value is None:
        return "-"
    return float(f"{value:.7g}") if isinstance(value, float) else output.cell(value)


def _print_exported(done: Any) -> None:
    output.say(f"{done.rows} predictions of {done.model} written to {done.file}")


def _print_sealed(done: Any) -> None:
    output.say(
        f"{done.rows} predictions from before {output.cell(done.before)} sealed into "
        f"{done.segments} segments"
    )
