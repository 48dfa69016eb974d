"""``mlkit perf``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output, spark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlkit.flows.monitoring.estimates import Estimate
    from mlkit.flows.monitoring.history import PerformancePoint
    from mlkit.flows.monitoring.monitor import PerformanceChecked
    from mlkit.project import Project

_DEGRADED = 3


@click.group()
def perf() -> None:
    """Find out whether the predictions have got worse.

    Exit code 3 says that the loss has risen above the holdout's by more than is tolerated, of all
    rows or of a part of the inputs.
    """


@perf.command()
@click.argument("model")
@click.option("--window", metavar="DURATION", help="Rows of the log to judge, for example 7d.")
@output.json_option
@output.with_project
def check(project: "Project", *, model: str, window: str | None, as_json: bool) -> None:
    """Compare the predictions of MODEL with the actuals."""
    import msgspec

    from mlkit.flows.alerts import alerting
    from mlkit.flows.monitoring import history, monitor

    found = monitor.check_performance(project, model, window=window)
    alerting.deliver(project)
    past = history.of_performance(project, model)
    output.emit(
        {**msgspec.structs.asdict(found), "history": past},
        as_json=as_json,
        render=lambda _: _render(found, past),
    )
    failing = found.verdict == "degraded" or (found.verdict == "ok" and found.slices)
    click.get_current_context().exit(_DEGRADED if failing else 0)


def _render(found: "PerformanceChecked", past: "Sequence[PerformancePoint]") -> None:
    output.say(f"{found.model} {found.summary}")
    output.say(f"coverage: {found.coverage:.0%} of the predictions have an actual")
    for line in _ripeness(found):
        output.say(line)
    if found.metrics:
        output.say("metrics: " + ", ".join(_metrics(found)))
    if found.slices:
        headers = ("part", "rows", found.metric, "low", "high", "holdout", "rows of it", "q")
        rows = [
            (s.name, s.rows, s.value, s.low, s.high, s.reference, s.reference_rows, s.q_value)
            for s in found.slices
        ]
        output.print_table(headers, rows)
    if found.estimated is not None:
        output.say(f"estimated: {_estimated(found.estimated, found.reference)}")
    levels = spark.line(point.level for point in past)
    output.say(f"lately: {levels} ({len(past)} checks; the limit is at half height)")


def _ripeness(found: "PerformanceChecked") -> "Iterator[str]":
    """Yield the share of expected actuals that have arrived, and their delay."""
    from mlkit.flows.log.maturity import length

    if found.maturity is not None:
        half, most = found.delay.p50_s, found.delay.p90_s
        took = ""
        if half is not None and most is not None:
            took = f"; half of them take {length(half)}, 90% {length(most)}"
        yield f"maturity: {found.maturity:.0%} of the actuals to be expected have come{took}"
    if found.judged_until is not None and found.rows:
        yield (
            f"judged: what was served until {output.cell(found.judged_until)}; the actuals of "
            "later rows are still coming"
        )


def _metrics(found: "PerformanceChecked") -> "Iterator[str]":
    for name, value in found.metrics.items():
        limits = found.intervals.get(name)
        yield f"{name} {value:.4g}" + (f" [{limits[0]:.4g}, {limits[1]:.4g}]" if limits else "")


def _estimated(found: "Estimate", reference: float) -> str:
    from mlkit.flows.monitoring import estimates

    parts = [f"{estimates.in_words(found)} before actuals come (holdout {reference:.4g})"]
    parts += ["blind to concept drift" if found.trusted else f"not to be trusted: {found.reason}"]
    if found.past_error is not None:
        windows = f"{found.past_windows} window{'s' if found.past_windows > 1 else ''}"
        parts += [f"was off by {found.past_error:.2g} (median of {windows})"]
    return "; ".join(parts)
