"""``mlkit job``."""

import functools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from mlkit.cli import output
from mlkit.errors import MlkitError

if TYPE_CHECKING:
    from mlkit.project import Project
    from mlkit.scheduling.runner import RunResult
    from mlkit.timetable import Planned

P = ParamSpec("P")
R = TypeVar("R")


def _at_low_priority(command: Callable[P, R]) -> Callable[P, R]:
    """Lower the priority before the imports of ``command``, which take half a second."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from mlkit.scheduling import background

        background.lower_priority()
        return command(*args, **kwargs)

    return run


@click.group()
def job() -> None:
    """List, run and schedule the jobs of this machine.

    The jobs are Python files in the project's folder jobs/; jobs/__init__.py is the timetable.
    Choose one clock for them: `mlkit daemon`, cron or systemd timers.
    """


@job.command("list")
@output.json_option
@output.with_project
def list_(project: "Project", *, as_json: bool) -> None:
    """List the jobs, when they are next due and how they last ended."""
    from mlkit import timetable

    output.emit(timetable.plan(project), as_json=as_json, render=_render_plan)


@job.command()
@click.argument("name", required=False)
@click.option(
    "--due",
    metavar="slot|TIME",
    help="The due time to run for: the last slot of the timetable, or a UTC time. Default: now.",
)
@click.option("--missed", is_flag=True, help="Run every job whose last slot no clock has run.")
@output.json_option
@_at_low_priority
@output.with_project
def run(
    project: "Project", *, name: str | None, due: str | None, missed: bool, as_json: bool
) -> None:
    """Run the job NAME in a process of its own and record how it ended.

    A due time that was run already, by whatever clock, is not run again.
    """
    if missed == bool(name) or (missed and due):
        raise click.UsageError("name one job, or say --missed")
    signal.signal(signal.SIGTERM, _exit)
    with output.progress() as display:
        display.add_task(f"running {name or 'missed jobs'}", total=None)
        results = _run(project, name, due)
    output.emit(results if missed else results[0], as_json=as_json, render=_render_results)


@job.command()
@click.argument("name", required=False)
@click.option("--limit", default=20, show_default=True, help="Most runs to show.")
@output.json_option
@output.with_project
def history(project: "Project", *, name: str | None, limit: int, as_json: bool) -> None:
    """List the newest runs of the job NAME, or of all."""
    from mlkit import timetable
    from mlkit.scheduling import runner

    found = runner.history(project, name, limit=limit)
    if name and not found:
        timetable.find(timetable.load(project), name)
    output.emit(found, as_json=as_json, render=_render_history)


@job.command()
@click.option("--install", is_flag=True, help="Put them into your crontab; its other lines stay.")
@click.option("--uninstall", is_flag=True, help="Take them out of it; its other lines stay.")
@output.json_option
@output.with_project
def crontab(project: "Project", *, install: bool, uninstall: bool, as_json: bool) -> None:
    """Print the timetable as lines for `crontab`, install them or take them out.

    Installing again replaces the lines of this project. Secrets that the jobs need belong in the
    file .mlkit/env of the project, which every command reads: cron has no environment of yours.
    """
    if install and uninstall:
        raise click.UsageError("say --install or --uninstall")
    if uninstall:
        _uninstall(project.root, as_json=as_json)
        return
    from mlkit import timetable
    from mlkit.scheduling import crontab as user_crontab
    from mlkit.scheduling import units

    lines = units.crontab(project, timetable.load(project))
    if install:
        user_crontab.install(project.root, lines)
    else:
        lines = user_crontab.merge("", project.root, lines)  # so that --uninstall finds them
    document = {"crontab": lines, "installed": install}
    output.emit(
        document, as_json=as_json, render=lambda _: _render_crontab(lines, installed=install)
    )


@job.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write the unit files into. Default: print them.",
)
@output.json_option
@output.with_project
def systemd(project: "Project", *, out: Path | None, as_json: bool) -> None:
    """Write systemd units: a timer per job, the server and the daemon."""
    from mlkit import timetable
    from mlkit.scheduling import units

    rendered = units.systemd(project, timetable.load(project))
    if out is not None:
        units.write(rendered, out)
    output.emit(rendered, as_json=as_json, render=lambda _: _render_units(rendered, out))


def _uninstall(root: Path, *, as_json: bool) -> None:
    from mlkit.scheduling import crontab as user_crontab

    done = user_crontab.uninstall(root)
    said = "the jobs of this project are" if done else "there were none of this project"
    output.emit(
        {"uninstalled": done},
        as_json=as_json,
        render=lambda _: output.say(f"{said} {'taken out of' if done else 'in'} your crontab"),
    )


def _exit(*_: object) -> None:
    """Exit by an exception, so that the run is stopped and recorded."""
    sys.exit(128 + signal.SIGTERM)


def _run(project: "Project", name: str | None, due: str | None) -> "list[RunResult]":
    from mlkit import timetable
    from mlkit.scheduling import runner

    jobs = timetable.load(project)
    if name is None:
        results = list(runner.run_missed(project, jobs))
    else:
        found = timetable.find(jobs, name)
        results = [runner.run_one(project, found, timetable.due_time(project, found, due))]
    for result in results:
        if result.failed:
            raise MlkitError(
                f"job '{result.job}' ended as {result.status}: {result.summary} "
                f"(its output: {result.output})",
                {"runs": results},
            )
    return results


def _render_plan(rows: "tuple[Planned, ...]") -> None:
    output.print_table(
        ("job", "at (UTC)", "next", "last ended", "status", "summary"),
        [(row.job, row.at, row.next, row.ended_at, row.status, row.summary) for row in rows],
    )


def _render_results(results: "RunResult | list[RunResult]") -> None:
    listed = results if isinstance(results, list) else [results]
    for result in listed:
        before = "" if result.ran else f"was run already for {output.cell(result.due)}: "
        output.say(f"{result.job} {before}{result.status}: {result.summary}".removesuffix(": "))
    if not listed:
        output.say("nothing was missed")


def _render_history(results: "list[RunResult]") -> None:
    output.print_table(
        ("job", "due", "started", "seconds", "status", "summary"),
        [(r.job, r.due, r.started_at, r.duration_s, r.status, r.summary) for r in results],
    )


def _render_crontab(lines: str, *, installed: bool) -> None:
    if installed:
        output.say("your crontab now runs:", err=True)
    output.say_all(lines, nl=False)


def _render_units(rendered: dict[str, str], out: Path | None) -> None:
    if out is None:
        for name, text in rendered.items():
            output.say_all(f"# {name}\n{text}")
        return
    timers = " ".join(name for name in rendered if name.endswith(".timer"))
    output.say(f"wrote {len(rendered)} files; to have systemd run the jobs:")
    output.say(f"  sudo cp {out}/mlkit-* /etc/systemd/system/ && sudo systemctl daemon-reload")
    output.say(f"  sudo systemctl enable --now {timers}")
    output.say("the units for serve and daemon are there too; the daemon replaces the timers")
