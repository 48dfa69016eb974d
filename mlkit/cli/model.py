"""``mlkit model``."""

from typing import TYPE_CHECKING, Any

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.registry.deploy import Deployed, Event
    from mlkit.flows.registry.models import Compared, Shown, Summary
    from mlkit.project import Project

_VERSION = click.IntRange(1)


@click.group()
def model() -> None:
    """List, compare, promote and roll back model versions."""


@model.command("list")
@output.json_option
@output.with_project
def list_(project: "Project", *, as_json: bool) -> None:
    """List the models, their champions and the champions' holdout metrics."""
    from mlkit.flows.registry import models  # imports SQLAlchemy

    output.emit(models.summaries(project), as_json=as_json, render=_render_list)


@model.command()
@click.argument("name")
@output.json_option
@output.with_project
def show(project: "Project", *, name: str, as_json: bool) -> None:
    """Show every version of NAME and the gate's verdict on it."""
    from mlkit.flows.registry import models  # imports SQLAlchemy

    output.emit(models.show(project, name), as_json=as_json, render=_render_show)


@model.command()
@click.argument("name")
@output.json_option
@output.with_project
def history(project: "Project", *, name: str, as_json: bool) -> None:
    """Show which version of NAME served when, who put it there, and why."""
    from mlkit.flows.registry import deploy  # imports SQLAlchemy

    output.emit(deploy.history(project, name), as_json=as_json, render=_render_history)


@model.command()
@click.argument("name")
@click.argument("first", type=_VERSION)
@click.argument("second", type=_VERSION)
@output.json_option
@output.with_project
def compare(project: "Project", *, name: str, first: int, second: int, as_json: bool) -> None:
    """Show how two versions of NAME differ: data, estimator, columns, libraries, metrics."""
    from mlkit.flows.registry import models  # imports SQLAlchemy

    found = models.compare(project, name, first, second)
    output.emit(found, as_json=as_json, render=_render_compare)


@model.command()
@click.argument("name")
@click.argument("version", type=_VERSION)
@click.option("--reason", default="", help="Why, for the history.")
@click.option("--force", is_flag=True, help="Promote it although the gate refused it.")
@output.json_option
@output.with_project
def promote(
    project: "Project", *, name: str, version: int, reason: str, force: bool, as_json: bool
) -> None:
    """Make VERSION the champion of NAME; running servers follow within a second."""
    from mlkit.flows.registry import deploy  # imports SQLAlchemy

    done = deploy.promote(project, name, version, reason=reason, force=force)
    output.emit(done, as_json=as_json, render=_render_deployed)


@model.command()
@click.argument("name")
@click.option("--to", type=_VERSION, help="An earlier champion. Default: the one before.")
@click.option("--reason", default="", help="Why, for the history.")
@output.json_option
@output.with_project
def rollback(project: "Project", *, name: str, to: int | None, reason: str, as_json: bool) -> None:
    """Make an earlier champion of NAME the champion again."""
    from mlkit.flows.registry import deploy  # imports SQLAlchemy

    done = deploy.rollback(project, name, to=to, reason=reason)
    output.emit(done, as_json=as_json, render=_render_deployed)


def _render_list(found: "list[Summary]") -> None:
    if not found:
        output.say("no models yet; train one with: mlkit train NAME --data DATASET")
        return
    headers = ("model", "task", "target", "champion", "since", "versions", "metric", "value")
    rows = [
        (one.model, one.task, one.target, one.champion and f"v{one.champion}", one.since,
         one.versions, one.metric, one.value)
        for one in found
    ]  # fmt: skip
    output.print_table(headers, rows)
    for one in found:
        if one.problem:
            output.say(f"problem: {one.model}: {one.problem}", fg="yellow")


def _render_show(found: "Shown") -> None:
    output.say(f"{found.model}: {found.task} of '{found.target}'")
    headers = ("version", "", "estimator", "dataset", "trained", "metric", "value", "gate")
    rows = [
        (f"v{one.version}", "champion" if one.version == found.champion else "", one.estimator,
         one.dataset, one.created_at, one.metric, one.metric and one.metrics[one.metric],
         ("accepted: " if one.accepted else "refused: ") + one.reason)
        for one in found.versions
    ]  # fmt: skip
    output.print_table(headers, rows)
    for one in found.versions:
        if one.backend:
            output.say(f"v{one.version} is served by {_backend(one.backend)}")


def _backend(found: "dict[str, Any]") -> str:
    """Describe the serving backend of a version, the reason, and the time per row."""
    own, estimator = found["microseconds"]["1"], found["estimator_microseconds"]["1"]
    took = f"{own:,.0f} µs a row"
    if found["name"] == "estimator":
        return f"the estimator itself: {found['reason']} ({took})"
    return f"{found['name']}: {found['reason']} ({took}, the estimator {estimator:,.0f})"


def _render_history(found: "list[Event]") -> None:
    headers = ("version", "role", "action", "from", "to", "by", "why")
    rows = [
        (f"v{one.version}", one.role, one.action, one.started_at, one.ended_at, one.actor,
         one.reason)
        for one in found
    ]  # fmt: skip
    output.print_table(headers, rows)


def _render_compare(found: "Compared") -> None:
    first, second = f"v{found.first}", f"v{found.second}"
    rows = [(row.name, row.first, row.second) for row in found.metrics]
    output.print_table(("metric", first, second), rows)
    if found.note:
        output.say(found.note)
    differences = [(row.name, row.first, row.second) for row in found.differences]
    if differences:
        output.print_table(("differs in", first, second), differences)


def _render_deployed(done: "Deployed") -> None:
    before = f" (before: v{done.previous})" if done.previous else ""
    output.say(f"v{done.version} is the champion of {done.model}{before}")
