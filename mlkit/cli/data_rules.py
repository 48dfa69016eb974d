"""``mlkit data rules`` and ``mlkit data quarantine``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.data.quarantine import Aside
    from mlkit.flows.data.rule_edits import RulesShown
    from mlkit.project import Project


@click.command()
@click.argument("name")
@click.option(
    "--accept", multiple=True, metavar="COL=VALUE",
    help="Add a value to the list of allowed ones (isin) of a column; may be given more than once.",
)  # fmt: skip
@output.json_option
@output.with_project
def rules(project: "Project", name: str, *, accept: tuple[str, ...], as_json: bool) -> None:
    """Show the rules that the next version of NAME is checked against.

    They are in schemas/NAME.yaml, which is yours to edit. With --accept a new value is added there
    (a new plan, a new country), and every other line of the file stays as it is.
    """
    from mlkit.flows.data import rule_edits  # imports SQLAlchemy

    found = rule_edits.accept(project, name, accept) if accept else rule_edits.show(project, name)
    output.emit(found, as_json=as_json, render=_render_rules)


@click.command()
@click.argument("name", required=False)
@click.option("--remove", metavar="FILE|NAME", help="Remove one file, or all of a dataset.")
@output.json_option
@output.with_project
def quarantine(project: "Project", name: str | None, *, remove: str | None, as_json: bool) -> None:
    """List the files with rows that broke rules, of dataset NAME or of all, newest first.

    Each row is there with its number in the file it came from (_row, from 1) and what it breaks
    (_reasons). The newest 20 files of a dataset are kept, each of at most 100,000 rows.
    """
    from mlkit.flows.data import quarantine as flow  # imports SQLAlchemy

    if remove is not None:
        gone = flow.remove(project, remove)
        output.emit(gone, as_json=as_json, render=_render_removed)
        return
    output.emit(flow.listed(project, name), as_json=as_json, render=_render_files)


def _render_rules(found: "RulesShown") -> None:
    for pair in found.added:
        output.say(f"{found.file} allows {pair} now")
    if found.added:
        return
    share = f"; up to {found.quarantine:.2%} failing rows are set aside" if found.quarantine else ""
    output.say(f"rules of {found.dataset}, in {found.file}{share}")
    output.print_table(
        ("column", "rule", "level"), [(r.column or "(all)", r.rule, r.level) for r in found.rules]
    )


def _render_files(files: "list[Aside]") -> None:
    if not files:
        output.say("no rows are set aside")
        return
    output.print_table(
        ("file", "dataset", "bytes", "written"),
        [(f.file, f.dataset, f.size_bytes, f.written_at) for f in files],
    )


def _render_removed(files: "list[Aside]") -> None:
    for file in files:
        output.say(f"removed {file.file}")
