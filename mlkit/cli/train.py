"""``mlkit train``."""

from typing import TYPE_CHECKING, Literal

import click

from mlkit.cli import output
from mlkit.errors import CheckFailedError

if TYPE_CHECKING:
    from mlkit.flows.training.train import Trained
    from mlkit.project import Project


@click.command()
@click.argument("model")
@click.option("--data", required=True, metavar="NAME[@V]", help="Dataset, or one version of it.")
@click.option(
    "--task",
    type=click.Choice(["auto", "classification", "regression"]),
    default="auto",
    show_default=True,
    help="What is predicted; auto looks at the target.",
)
@click.option(
    "--estimator",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="auto (the ladder), dummy, linear, logistic, ridge, boosting, forest, or your own "
    "module:function that returns an unfitted scikit-learn estimator: function() for one that gets "
    "filled, scaled and one-hot numbers, function(schema) for missing values and codes as they "
    "are. Its code is kept with the version.",
)
@click.option(
    "--tune", type=click.IntRange(0), default=0, metavar="N", help="Search parameters in N trials."
)
@click.option(
    "--half-life",
    metavar="AGE",
    default="off",
    show_default=True,
    help="A row this much older than the newest (30d) weighs half as much in training.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="COL",
    help="Do not learn from this column, an id for example; may be given more than once. The model "
    "then needs no such value to answer, and retraining leaves it out as well.",
)
@click.option("--promote", is_flag=True, help="Make it the champion if the gate accepts it.")
@click.option("--check", is_flag=True, help="Exit with code 3 if the gate refuses it.")
@click.option("--reason", default="", help="Why, for the history.")
@output.json_option
@output.with_project
def train(
    project: "Project",
    *,
    model: str,
    data: str,
    task: Literal["auto", "classification", "regression"],
    estimator: str,
    tune: int,
    half_life: str,
    ignore: tuple[str, ...],
    promote: bool,
    check: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Train a version of MODEL and judge it at the gate.

    The simplest sufficient model of the ladder wins: constant, linear, tuned linear, boosted
    trees. The newest rows judge it, against the champion if there is one.
    """
    from mlkit.flows.training import train as flow  # imports scikit-learn

    with output.progress() as display:
        bar = display.add_task("training", total=None)
        done = flow.train(
            project,
            model,
            data,
            task=task,
            estimator=estimator,
            tune=tune,
            half_life=half_life,
            ignore=ignore,
            promote=promote,
            reason=reason,
            progress=lambda text: display.update(bar, description=text),
        )
    if check and not done.verdict.accepted:
        raise CheckFailedError(f"the gate refused it: {done.verdict.reason}", output.fields(done))
    output.emit(done, as_json=as_json, render=render)


def render(done: "Trained") -> None:
    """Print a trained version for a person."""
    for warning in done.warnings:
        output.say(f"warning: {warning}", fg="yellow", err=True)
    output.say(
        f"{done.model} v{done.version}: {done.estimator}, a {done.task} of '{done.target}', "
        f"on {done.dataset}"
    )
    if done.ladder:
        rungs = [
            (rung["name"], rung["loss"], rung["excess"], rung["error"], rung["chosen"])
            for rung in done.ladder
        ]
        headers = ("ladder", "loss", "over the best", "standard error", "chosen")
        output.print_table(headers, rungs)
    rows = [(name, value, *done.intervals[name]) for name, value in done.metrics.items()]
    output.print_table(("holdout metric", "value", "low", "high"), rows)
    word = "accepted" if done.verdict.accepted else "refused"
    output.say(f"gate: {word}: {done.verdict.reason}")
    output.say(_next_step(done))


def _next_step(done: "Trained") -> str:
    if done.promoted:
        return f"promoted: v{done.version} is the champion of {done.model}"
    if done.verdict.accepted:
        return f"to make it the champion: mlkit model promote {done.model} {done.version}"
    return "not promoted"
