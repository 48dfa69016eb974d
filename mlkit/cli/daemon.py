"""``mlkit daemon``."""

import logging
from typing import TYPE_CHECKING

import click

from mlkit import printable
from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.project import Project


@click.command()
@output.with_project
def daemon(project: "Project") -> None:
    """Run the jobs of this project when they are due.

    Slots missed while no clock ran are made up for once, at the start. Changes to the timetable
    take effect at a restart. SIGTERM stops the daemon and the jobs it runs; exit code 4 means
    that this project has a daemon already.
    """
    from mlkit.scheduling.daemon import run  # imports APScheduler

    handler = logging.StreamHandler()
    handler.setFormatter(printable.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    run(project)
