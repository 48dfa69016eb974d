"""``mlkit retrain``."""

from typing import TYPE_CHECKING, Literal

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.training.retrain import Retrained
    from mlkit.project import Project


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Choice(["log", "source", "both"]),
    help="New rows from the prediction log with actuals, from the dataset's source, or both. "
    "Default: the setting retrain.data.",
)
@click.option("--reason", default="", help="Why, for the history of the model.")
@click.option("--check", is_flag=True, help="Exit with code 3 if the gate refuses the candidate.")
@output.json_option
@output.with_project
def retrain(
    project: "Project",
    *,
    model: str,
    data: Literal["log", "source", "both"] | None,
    reason: str,
    check: bool,
    as_json: bool,
) -> None:
    """Train MODEL on its newest rows; promote only if better.

    Repeats the recipe of the champion. Without new rows nothing is trained.
    """
    from mlkit.flows.training import retrain as flow  # imports pyarrow

    with output.progress() as display:
        task = display.add_task(f"retraining {model}", total=None)
        done = flow.retrain(
            project, model, data=data, reason=reason,
            progress=lambda text: display.update(task, description=text),
        )  # fmt: skip
    if check:
        flow.require_accepted(done)
    output.emit(done, as_json=as_json, render=_render)


def _render(done: "Retrained") -> None:
    for warning in done.warnings:
        output.say_all(f"warning: {warning}", err=True)
    output.say(f"{done.model}: {done.summary}")
    for name, value in done.metrics.items():
        low, high = done.intervals.get(name, (value, value))
        output.say(f"  {name} {value:.4g} ({low:.4g} to {high:.4g})")
    if done.version is not None:
        output.say(f"  v{done.version}: {done.estimator} on {done.rows} rows of {done.dataset}")
