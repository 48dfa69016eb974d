"""``mlkit perf``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output, spark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlkit.flows.history import PerformancePoint
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
    import msgspec

    from mlkit.flows import alerting, history, monitor

    found = monitor.check_performance(project, model, window=window)
    alerting.deliver(project)
    past = history.of_performance(project, model)
    output.emit(
        {**msgspec.structs.asdict(found), "history": past},
        as_json=as_json,
        render=lambda _: _render(found, past),
    )
    click.get_current_context().exit(_DEGRADED if found.verdict == "degraded" else 0)


def _render(found: "PerformanceChecked", past: "Sequence[PerformancePoint]") -> None:
    click.echo(f"{found.model} {found.summary}")
    click.echo(f"coverage: {found.coverage:.0%} of the predictions have an actual")
    levels = spark.line(point.level for point in past)
    click.echo(f"lately: {levels} ({len(past)} checks; the limit is at half height)")
