"""``mlkit drift``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.monitor import DriftChecked
    from mlkit.project import Project
    from mlkit.steps.drift import DriftResult

_FOUND = 3


@click.group()
def drift() -> None:
    """Find out whether the inputs have changed.

    A feature has drifted if the change is large enough to matter, unlikely to be chance, and seen
    on enough rows. Exit code 3 says that something drifted.
    """


@drift.command()
@click.argument("ref", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("cur", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output.json_option
@click.pass_context
def compare(ctx: click.Context, ref: Path, cur: Path, *, as_json: bool) -> None:
    """Compare two files, CSV or Parquet; needs no project."""
    from mlkit.steps import drift as rules
    from mlkit.steps import frames

    found = rules.compare_tables(frames.read_table(ref), frames.read_table(cur), rules.DriftRule())
    output.emit(found, as_json=as_json, render=_render)
    ctx.exit(_FOUND if found.verdict == "drift" else 0)


@drift.command()
@click.argument("model")
@click.option("--window", metavar="DURATION", help="Rows of the log to judge, for example 1d.")
@output.json_option
@output.with_project
def check(project: "Project", *, model: str, window: str | None, as_json: bool) -> None:
    """Compare what MODEL was asked lately with what it was trained on."""
    from mlkit.flows import monitor

    found = monitor.check_drift(project, model, window=window)
    output.emit(found, as_json=as_json, render=_render)
    click.get_current_context().exit(_FOUND if found.verdict == "drift" else 0)


def _render(found: "DriftResult | DriftChecked") -> None:
    rows = [
        (
            f.name, f.kind, f.test, f.statistic, f.p_value, f.q_value, f.effect, f.threshold,
            f.drifted,
        )
        for f in found.features
    ]  # fmt: skip
    headers = (
        "feature", "kind", "test", "statistic", "p", "q", "effect", "threshold", "drifted",
    )  # fmt: skip
    output.print_table(headers, rows)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{found.summary} (reference: {found.rows.reference} rows)")
