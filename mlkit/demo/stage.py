"""What the year is played on: a project of its own, its clock, v1 from January, a real server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from mlkit.demo import flights
from mlkit.demo.clock import Clock, shift_to
from mlkit.errors import ConflictError, MlkitError
from mlkit.flows import deploy, ingest, setup, train
from mlkit.flows.deploy import Loaded
from mlkit.project import SETTINGS_FILE, Project, open_project

MODEL = "flights"
LAST_MONTH, LAST_WEEK = 12, timedelta(days=7)
JANUARY = "january.csv"
_OTHER = "name another folder: mlkit demo --dir DIR"
_SETTINGS = f"""
# Written by `mlkit demo`: every month is judged, and learned from, alone. Drift, the shortest,
# leaves out the night of the last promotion with its requests that are no flights of that day.
[models.{MODEL}]
drift_window = "23d"
performance_window = "27d"
retrain_window = "27d"
"""


@dataclass(frozen=True)
class Stage:
    """An open project whose time is ``clock``; 2013 is played ``shift`` later."""

    project: Project
    clock: Clock
    shift: timedelta
    environment: Mapping[str, str]

    def month_start(self, month: int) -> datetime:
        """Return when ``month`` begins in the time that is played."""
        return flights.month_start(month) + self.shift

    def upkeep_at(self, month: int) -> datetime:
        """Return the midnight before the jobs that judge ``month``: its end.

        Of the last month it is a week earlier, so that the last champion has served too.
        """
        early = LAST_WEEK if month == LAST_MONTH else timedelta()
        return self.month_start(month + 1) - early


@contextmanager
def built(root: Path) -> Iterator[Stage]:
    """Make the project ``root`` and yield it with a clock; raises ConflictError if it is taken.

    Settings of the caller's environment do not count: the demo is the same for everyone, and
    never writes into another database.
    """
    refuse_occupied(root)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLKIT_")}
    _make_folder(root)
    (root / SETTINGS_FILE).write_text(setup.settings_text() + _SETTINGS)
    setup.make(root, environment=environment)
    with closing(open_project(root, environment=environment)) as made:
        now, clock = made.now(), Clock(made.state_dir / "clock")
    clock.set(now)
    environment["MLKIT_CLOCK"] = str(clock.file)
    try:
        with closing(open_project(root, environment=environment)) as project:
            yield Stage(project, clock, shift_to(now), environment)
    finally:
        clock.remove()


def refuse_occupied(root: Path) -> None:
    """Raise ConflictError if ``root`` is a file or a folder with something in it."""
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        what = "is not empty" if root.is_dir() else "is a file"
        raise ConflictError(f"{root} {what}; remove it, or {_OTHER}")


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConflictError(f"cannot make {root}: {error.strerror}; {_OTHER}") from error


def learn(stage: Stage, january: pa.Table) -> Loaded:
    """Add January as a dataset version, train and promote v1 on it; return v1, ready to predict."""
    project = stage.project
    stage.clock.set(stage.month_start(2))
    file = project.root / JANUARY
    pyarrow.csv.write_csv(january, file)
    ingest.add(project, MODEL, file, target=flights.TARGET, time=flights.TIME)
    trained = train.train(project, MODEL, MODEL, promote=True, reason="the first version")
    if not trained.promoted:
        raise MlkitError(f"the gate refused the model of January: {trained.verdict.reason}")
    return deploy.load_version(project, deploy.find_version(project, MODEL))
