"""``mlkit drift``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlkit.cli import data_source, output, spark
from mlkit.cli.baseline import baseline
from mlkit.provenance import Stated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlkit.flows.monitoring.comparison import FilesCompared
    from mlkit.flows.monitoring.monitor import DriftChecked
    from mlkit.project import Project
    from mlkit.steps.drift.result import FeatureDrift

_FOUND = 3
_explain_option = click.option(
    "--explain",
    is_flag=True,
    help="Show each test in full, how likely a false alarm is, and how large a change must be to "
    "be found.",
)
_joint_option = click.option(
    "--joint",
    is_flag=True,
    help="Also let a classifier tell the rows apart: it sees what no single feature shows.",
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def drift() -> None:
    """Find out whether the inputs have changed.

    A feature has drifted if the change is large enough to matter, unlikely to be chance, and seen
    on enough rows. Exit code 3 says that something drifted.
    """


drift.add_command(baseline)


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
@_joint_option
@_explain_option
@data_source.dialect_options
@output.json_option
@click.pass_context
def compare(
    ctx: click.Context, ref: Path, cur: Path, *, time: str | None, min_rows: int | None,
    joint: bool, explain: bool, stated: Stated, as_json: bool,
) -> None:  # fmt: skip
    """Compare two files, CSV or Parquet; needs no project.

    What is said of how CSV files are written is about both.

    The rules are the defaults of the settings drift.*, or what MLKIT_DRIFT_* say.
    """
    from mlkit.flows.monitoring import comparison
    from mlkit.steps.reading import csv_dialect

    stated = csv_dialect.checked(stated)
    overrides = {"drift.min_rows": min_rows, "drift.joint": joint or None}
    with _telling() as progress:
        found = comparison.compare_files(
            ref, cur, time=time, stated=stated, overrides=overrides, progress=progress
        )
    output.emit(found, as_json=as_json, render=_explain if explain else _render)
    ctx.exit(_code(found))


@drift.command()
@click.argument("model")
@click.option("--window", metavar="DURATION", help="Rows of the log to judge, for example 1d.")
@click.option(
    "--against",
    metavar="REFERENCE",
    help="training, previous (window), seasonal (the same hours and weekdays of the weeks before) "
    "or the name of a baseline. Default: drift.reference.",
)
@_joint_option
@_explain_option
@output.json_option
@output.with_project
def check(
    project: "Project", *, model: str, window: str | None, against: str | None, joint: bool,
    explain: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compare the recent requests to MODEL with its training data, or with what you choose.

    A check with another window, reference or test than the settings name is on record, but opens
    and ends no alert.
    """
    import msgspec

    from mlkit.flows.alerts import alerting
    from mlkit.flows.monitoring import history, monitor

    with _telling() as progress:
        found = monitor.check_drift(
            project, model, window=window, against=against, joint=joint, progress=progress
        )
    alerting.deliver(project)
    past = history.of_drift(project, model)
    output.emit(
        {**msgspec.structs.asdict(found), "history": past},
        as_json=as_json,
        render=lambda _: _explain(found) if explain else _render(found, past.features),
    )
    click.get_current_context().exit(_code(found))


@contextmanager
def _telling() -> "Iterator[Callable[[str], None]]":
    """Yield a callback that shows the progress of a check."""
    with output.progress() as display:
        bar = display.add_task("comparing", total=None)
        yield lambda text: display.update(bar, description=text)


def _code(found: "FilesCompared | DriftChecked") -> int:
    """Return the exit code; a missing verdict is also reported on stderr."""
    if found.verdict == "insufficient_data":
        advice = "compare more rows, or set drift.min_rows lower"
        if found.rows.reference < found.rows.current:
            advice = "compare with a reference that has more rows"
        output.say(f"no verdict: {found.summary}; {advice}", err=True)
    return _FOUND if found.verdict == "drift" else 0


def _render(
    found: "FilesCompared | DriftChecked",
    past: "Mapping[str, Sequence[float | None]] | None" = None,
) -> None:
    """Print the result of a check; ``past`` are the levels of the last checks."""
    import msgspec

    from mlkit.flows.monitoring import history

    shown = sorted(found.features, key=_worst_first)
    columns = {
        "feature": [f.name for f in shown],
        "effect": [_short(f.effect) for f in shown],
        "threshold": [f.threshold for f in shown],
        "level": [_short(history.level(msgspec.structs.asdict(f), found.alpha)) for f in shown],
        "q": [_short(f.q_value, digits=1) for f in shown],
        "drifted": [f.drifted for f in shown],
    }
    if past:
        columns["lately"] = [spark.line(past.get(f.name, ())) for f in shown]
    output.print_table(tuple(columns), zip(*columns.values(), strict=True))
    output.say(
        "drifted is level 1 or more: the effect reaches its threshold, and q is below "
        f"{found.alpha:.2g} (alpha); below 1 it is how near a feature came"
    )
    _conclude(found)


def _short(value: float | None, *, digits: int = 2) -> float | None:
    """Return a number with few digits, so that the table fits into 80 columns."""
    return None if value is None else float(f"{value:.{digits}g}")


def _conclude(found: "FilesCompared | DriftChecked") -> None:
    for feature in found.features:
        if feature.examples:
            output.say(f"{feature.name}: {feature.in_examples}")
    for warning in found.warnings:
        output.say_all(f"warning: {warning}", err=True)
    used = getattr(found, "reference", None)
    rows_of = f"{found.rows.reference} rows" if used is None else used.in_words
    output.say(f"reference: {rows_of}")
    output.say(found.summary)


def _explain(found: "FilesCompared | DriftChecked") -> None:
    output.print_table(
        (
            "feature", "kind", "test", "statistic", "p", "p (moments)", "q", "effect", "threshold",
            "drifted",
        ),
        [
            (f.name, f.kind, f.test, f.statistic, f.p_value, f.p_moments, f.q_value, f.effect,
             f.threshold, f.drifted)
            for f in sorted(found.features, key=_worst_first)
        ],
    )  # fmt: skip
    _conclude(found)
    output.say_all(f"\nthe chance of a false alarm is at most {found.alpha:.2%}")
    budget = getattr(found, "budget", None)
    if budget is not None:
        output.say(budget.in_words)
    rows = [
        (f.name, round(f.effective_rows), f.minimum_detectable_in_words, f.moved, f.psi,
         f.psi_usual)
        for f in found.features
    ]  # fmt: skip
    headers = (
        "feature", "effective rows", "found in 4 of 5 cases", "moved by sd", "PSI", "usual PSI",
    )  # fmt: skip
    output.print_table(headers, rows)


def _worst_first(feature: "FeatureDrift") -> tuple[bool, float]:
    from mlkit.steps.drift.result import excess

    return not feature.drifted, -excess(feature)
