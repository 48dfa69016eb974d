"""``mlkit perf``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.estimates import Estimate
    from mlkit.flows.monitor import PerformanceChecked
    from mlkit.project import Project

_DEGRADED = 3


@click.group()
def perf() -> None:
    """Find out whether the predictions have got worse.

    Exit code 3 says that the loss has risen above the holdout's by more than is tolerated.
    """


@perf.command()
@click.argument("model")
@click.option("--window", metavar="DURATION", help="Rows of the log to judge, for example 7d.")
@output.json_option
@output.with_project
def check(project: "Project", *, model: str, window: str | None, as_json: bool) -> None:
    """Compare the answers of MODEL with what really happened."""
    from mlkit.flows import alerting, monitor

    found = monitor.check_performance(project, model, window=window)
    alerting.deliver(project)
    output.emit(found, as_json=as_json, render=_render)
    click.get_current_context().exit(_DEGRADED if found.verdict == "degraded" else 0)


def _render(found: "PerformanceChecked") -> None:
    click.echo(f"{found.model} {found.summary}")
    click.echo(f"coverage: {found.coverage:.0%} of the predictions have an actual")
    if found.estimated is not None:
        click.echo(f"estimated: {_estimated(found.estimated, found.reference)}")


def _estimated(found: "Estimate", reference: float) -> str:
    from mlkit.flows import estimates

    parts = [f"{estimates.in_words(found)} before actuals come (holdout {reference:.4g})"]
    parts += ["blind to concept drift" if found.trusted else f"not to be trusted: {found.reason}"]
    if found.past_error is not None:
        windows = f"{found.past_windows} window{'s' if found.past_windows > 1 else ''}"
        parts += [f"was off by {found.past_error:.2g} on average in {windows}"]
    return "; ".join(parts)
