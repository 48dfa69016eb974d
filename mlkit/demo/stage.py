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
from mlkit.flows.data import ingest
from mlkit.flows.features import declarations, joining
from mlkit.flows.features.joining import Recipe
from mlkit.flows.operations import setup
from mlkit.flows.registry import deploy
from mlkit.flows.registry.deploy import Loaded
from mlkit.flows.training import train
from mlkit.layout import SETTINGS_FILE
from mlkit.project import Project, open_project

MODEL = "flights"
DATASET, JOINED = "flights", "flights_with_weather"
LAST_MONTH, LAST_WEEK = 12, timedelta(days=7)
JANUARY = "january.csv"
_FEATURES = '''"""The weather where a flight leaves: joined in training, looked up in serving."""

from mlkit.features import feature_view


@feature_view(source="weather", entity="origin", time="scheduled", ttl="3h", owner="demo")
def weather_at_origin(weather):
    """The newest weather at the airport, of the last three hours."""
    return weather
'''
_OTHER = "name another folder: mlkit demo --dir DIR"
_SETTINGS = f"""
# Written by `mlkit demo`: what is learned from are flights and the weather as they were to leave.
[datasets.{JOINED}]
base = "{DATASET}"
views = ["weather_at_origin"]

# Every month is judged, and learned from, alone. Drift, the shortest,
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
    (root / declarations.FILE).write_text(_FEATURES)
    setup.make(root, environment=environment)
    with closing(open_project(root, environment=environment)) as made:
        now, clock = made.now(), Clock(made.state_dir / "clock")
    clock.set(now)
    environment["MLKIT_CLOCK"] = str(clock.file)
    environment["MLKIT_FEATURES_CHECK_S"] = "0"  # a day is played in a blink
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
    """Join January with its weather, train and promote v1 on it; return v1, ready to predict."""
    project = stage.project
    stage.clock.set(stage.month_start(2))
    file = project.root / JANUARY
    pyarrow.csv.write_csv(january, file)
    ingest.add(project, DATASET, file, target=flights.TARGET, time=flights.TIME)
    joining.join(project, JOINED, Recipe(DATASET, ("weather_at_origin",)))
    trained = train.train(project, MODEL, JOINED, promote=True, reason="the first version")
    if not trained.promoted:
        raise MlkitError(f"the gate refused the model of January: {trained.verdict.reason}")
    return deploy.load_version(project, deploy.find_version(project, MODEL))
