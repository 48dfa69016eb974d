"""``mlkit drift``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.monitor import DriftChecked
    from mlkit.project import Project
    from mlkit.steps.drift_result import DriftResult, FeatureDrift

_FOUND = 3
_explain_option = click.option(
    "--explain",
    is_flag=True,
    help="Say how likely a false alarm is, and how large a change must be to be found.",
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def drift() -> None:
    """Find out whether the inputs have changed.

    A feature has drifted if the change is large enough to matter, unlikely to be chance, and seen
    on enough rows. Exit code 3 says that something drifted.
    """


@drift.command()
@click.argument("ref", type=_FILE)
@click.argument("cur", type=_FILE)
@click.option(
    "--time",
    metavar="COL",
    help="Column of times: both are taken in its order, and rows that resemble their neighbours "
    "count for less. It is not compared itself.",
)
@click.option("--min-rows", type=click.IntRange(1), help="Fewest rows of CUR for a verdict.")
@_explain_option
@output.json_option
@click.pass_context
def compare(
    ctx: click.Context, ref: Path, cur: Path, *, time: str | None, min_rows: int | None,
    explain: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compare two files, CSV or Parquet; needs no project.

    The rules are the defaults of the settings drift.*, or what MLKIT_DRIFT_* say.
    """
    from mlkit.flows import comparison

    found = comparison.compare_files(ref, cur, time=time, min_rows=min_rows)
    output.emit(found, as_json=as_json, render=_explain if explain else _render)
    ctx.exit(_FOUND if found.verdict == "drift" else 0)


@drift.command()
@click.argument("model")
@click.option("--window", metavar="DURATION", help="Rows of the log to judge, for example 1d.")
@_explain_option
@output.json_option
@output.with_project
def check(
    project: "Project", *, model: str, window: str | None, explain: bool, as_json: bool
) -> None:
    """Compare what MODEL was asked lately with what it was trained on."""
    from mlkit.flows import alerting, monitor

    found = monitor.check_drift(project, model, window=window)
    alerting.deliver(project)
    output.emit(found, as_json=as_json, render=_explain if explain else _render)
    click.get_current_context().exit(_FOUND if found.verdict == "drift" else 0)


def _render(found: "DriftResult | DriftChecked") -> None:
    rows = [
        (
            f.name, f.kind, f.test, f.statistic, f.p_value, f.p_moments, f.q_value, f.effect,
            f.threshold, f.drifted,
        )
        for f in sorted(found.features, key=_worst_first)
    ]  # fmt: skip
    headers = (
        "feature", "kind", "test", "statistic", "p", "p (moments)", "q", "effect", "threshold",
        "drifted",
    )  # fmt: skip
    output.print_table(headers, rows)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{found.summary} (reference: {found.rows.reference} rows)")


def _explain(found: "DriftResult | DriftChecked") -> None:
    _render(found)
    click.echo(f"\nthe chance of a false alarm is at most {found.alpha:.2%}")
    budget = getattr(found, "budget", None)
    if budget is not None:
        click.echo(budget.in_words)
    rows = [
        (f.name, round(f.effective_rows), f.visible_in_words, f.moved, f.psi, f.psi_usual)
        for f in found.features
    ]
    headers = (
        "feature", "worth rows", "found in 4 of 5 cases", "moved by sd", "PSI", "usual PSI",
    )  # fmt: skip
    output.print_table(headers, rows)


def _worst_first(feature: "FeatureDrift") -> tuple[bool, float]:
    from mlkit.steps.drift_result import excess

    return not feature.drifted, -excess(feature)
