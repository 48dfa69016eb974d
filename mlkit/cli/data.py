"""``mlkit data``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import data_diff, data_rules, data_source, data_upkeep, output
from mlkit.provenance import Csv, Stated

if TYPE_CHECKING:
    from mlkit.flows.data.catalog import Listed, Shown, VersionLine
    from mlkit.flows.data.ingest import Validated
    from mlkit.flows.data.versioning import Added
    from mlkit.project import Project

_MOST_COLUMNS = 200

file_argument = click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE"
)


@click.group()
def data() -> None:
    """Add, check and compare dataset versions.

    A dataset is a name; each version of it is one immutable set of rows, named NAME@NUMBER.
    """


@data.command()
@click.argument("name")
@click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True), metavar="[FILE]", required=False
)
@click.option("--source", metavar="URL", help="Instead of FILE: a database, as SQLAlchemy URL.")
@click.option("--query", metavar="SQL", help="What to ask that database: a SELECT, read only.")
@data_source.dialect_options
@click.option("--target", metavar="COL", help="The column that models of this data predict.")
@click.option("--time", metavar="COL", help="The column with each row's time: newest rows judge.")
@click.option("--entity", metavar="COL", help="The column that says whom or what a row is about.")
@output.json_option
@output.with_project
def add(
    project: "Project",
    name: str,
    file: Path | None,
    *,
    source: str | None,
    query: str | None,
    stated: Stated,
    target: str | None,
    time: str | None,
    entity: str | None,
    as_json: bool,
) -> None:
    """Add the rows of FILE as the next version of NAME.

    FILE is CSV (also .gz or .zst), Parquet, a folder of Parquet files, or - for stdin. Without
    FILE and --source the rows come from what [datasets.NAME] in mlkit.toml says. How a CSV file
    is written is found out unless it is said; what is said holds for the next files too.

    The first version infers rules and writes them to schemas/NAME.yaml for you to edit. Every
    later version is checked against them; one that breaks a rule is refused with exit code 3, and
    the failing rows are in quarantine/ with the reasons.
    """
    from mlkit.flows.data import ingest  # imports SQLAlchemy

    chosen = data_source.choose(file, source, query, stated)
    with data_source.progress() as report:
        added = ingest.add(
            project, name, chosen, target=target, time=time, entity=entity, progress=report
        )
    output.emit(added, as_json=as_json, render=_render_added)


@data.command()
@click.argument("name")
@output.json_option
@output.with_project
def pull(project: "Project", name: str, *, as_json: bool) -> None:
    """Fetch the source of NAME again; make a new version if its rows have changed.

    The source is what [datasets.NAME] in mlkit.toml says (a file, a query, or a base and views to
    be joined anew), or the query of the newest version.
    """
    from mlkit.flows import pull as pulling  # imports SQLAlchemy

    with data_source.progress() as report:
        added = pulling.pull(project, name, progress=report)
    output.emit(added, as_json=as_json, render=_render_added)


@data.command("list")
@output.json_option
@output.with_project
def list_(project: "Project", *, as_json: bool) -> None:
    """List the datasets and their newest versions."""
    from mlkit.flows.data import catalog  # imports SQLAlchemy

    output.emit(catalog.list_datasets(project), as_json=as_json, render=_render_list)


@data.command()
@click.argument("reference", metavar="NAME[@V]")
@output.json_option
@output.with_project
def show(project: "Project", reference: str, *, as_json: bool) -> None:
    """Show the columns, warnings and history of a dataset; of its newest version by default."""
    from mlkit.flows.data import catalog  # imports SQLAlchemy

    output.emit(catalog.show(project, reference), as_json=as_json, render=_render_shown)


@data.command()
@click.argument("name")
@file_argument
@data_source.dialect_options
@click.option(
    "--quarantine", "aside", metavar="OUT.csv", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the rows that break a rule to this file, with row numbers and reasons.",
)  # fmt: skip
@output.json_option
@output.with_project
def validate(
    project: "Project", name: str, file: Path, *, stated: Stated,
    aside: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Check FILE against the rules of NAME without adding it; exit code 3 if it breaks one."""
    from mlkit.flows.data import ingest  # imports SQLAlchemy

    chosen = data_source.choose(file, None, None, stated)
    found = ingest.validate(project, name, chosen, aside=aside)
    output.emit(found, as_json=as_json, render=_render_validated)


data.add_command(data_diff.diff)
data.add_command(data_rules.rules)
data.add_command(data_rules.quarantine)


def _render_added(added: "Added") -> None:
    reference = f"{added.dataset}@{added.version}"
    if not added.new:
        output.say(f"these rows are {reference} already; no new version")
        return
    output.say(f"added {reference}: {added.rows:,} rows, sha256 {added.sha256[:12]}")
    if isinstance(added.read_as, Csv):
        output.say(f"read as CSV: {data_source.spell(added.read_as)}")
    _render_warnings(added.warnings)
    output.say(f"rules for later versions: schemas/{added.dataset}.yaml (edit them freely)")


def _render_validated(validated: "Validated") -> None:
    passed = validated.rows - validated.set_aside
    of = f" of {validated.rows:,}" if validated.set_aside else ""
    output.say(f"{passed:,}{of} rows pass every rule of dataset '{validated.dataset}'")
    _render_warnings(validated.warnings)


def _render_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        output.say_all(f"warning: {warning}")


def _render_list(listed: "list[Listed]") -> None:
    if not listed:
        output.say("no datasets yet (see: mlkit data add --help)")
        return
    output.print_table(
        ("dataset", "version", "rows", "columns", "target", "time", "entity", "added", "source"),
        [
            (
                x.dataset,
                x.version,
                x.rows,
                x.columns,
                x.target,
                x.time,
                x.entity,
                x.added_at,
                x.source,
            )
            for x in listed
        ],
    )
    for x in listed:
        if x.problem:
            output.say(f"problem: {x.dataset}: {x.problem}", fg="yellow")


def _render_shown(shown: "Shown") -> None:
    output.say(f"{shown.dataset}@{shown.version}: {shown.rows:,} rows from {shown.source}")
    output.say(f"target {shown.target or '-'}, time {shown.time or '-'}, "
               f"entity {shown.entity or '-'}, rules in {shown.schema}")  # fmt: skip
    _render_losses(shown)
    _render_warnings(shown.warnings)
    output.print_table(
        ("column", "type", "missing", "distinct", "mean", "values"),
        [
            (c["name"], c["type"], c["missing"], c["distinct"], c.get("mean"), _values(c))
            for c in shown.columns[:_MOST_COLUMNS]
        ],
    )
    if len(shown.columns) > _MOST_COLUMNS:
        output.say(f"and {len(shown.columns) - _MOST_COLUMNS:,} more columns (see --json)")
    output.print_table(
        ("version", "rows", "columns", "sha256", "added", "source", "state"),
        [
            (v.version, v.rows, v.columns, v.sha256[:12], v.added_at, v.source, _state(v))
            for v in shown.versions
        ],
    )


def _render_losses(shown: "Shown") -> None:
    """Print which rows were collected or erased."""
    reference = f"{shown.dataset}@{shown.version}"
    if shown.collected_at is not None:
        output.say(
            f"its rows were collected on {shown.collected_at:%Y-%m-%d}; make them again with: "
            f"mlkit data rebuild {reference}"
        )
    if shown.erased_rows:
        output.say(f"{shown.erased_rows:,} rows of erased subjects are gone for good")


def _state(line: "VersionLine") -> str:
    words = ["collected"] if line.collected_at is not None else []
    words += [f"{line.erased_rows:,} rows erased"] if line.erased_rows else []
    return ", ".join(words) or "-"


def _values(column: dict[str, object]) -> str:
    """Return the range of a column, or its most frequent values."""
    if "minimum" in column:
        return f"{_short(column['minimum'])} to {_short(column['maximum'])}"
    top = column.get("top")
    if not isinstance(top, list):
        return "-"
    return ", ".join(str(value) for value, _ in top[:5]) + (", ..." if len(top) > 5 else "")


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).removesuffix("+00:00")


for _command in (data_upkeep.export, data_upkeep.rebuild, data_upkeep.gc, data_upkeep.erase):
    data.add_command(_command)
