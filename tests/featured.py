"""A project whose model is trained on a joined dataset: by a column, by entity, and on demand."""

import json
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from flask.testing import FlaskClient

from mlkit.flows.data import ingest
from mlkit.flows.features import joining, materialize
from mlkit.flows.features.joining import Recipe
from mlkit.flows.log import logs
from mlkit.flows.training import train
from mlkit.project import Project, create_project, open_project
from mlkit.server.app import SERVICE, create_app

NOW = "2026-03-01T12:00:00+00:00"
FEATURES = '''
from mlkit.features import feature_view, on_demand


@feature_view(source="weather", entity="origin", time="hour", ttl="3h")
def weather_at_origin(weather):
    """The weather at the airport."""
    return weather[["origin", "hour", "temp", "seen_at"]]


@feature_view(source="rides", entity="rider", time="at", on_missing={"rides": 0, "best": "none"})
def rider_so_far(rides):
    """What a rider has done so far."""
    return rides[["rider", "at", "rides", "best"]]


@on_demand(inputs=["km", "temp", "at"])
def shape(rows):
    """How long the way is for the weather, and when."""
    made = rows[["km"]].rename(columns={"km": "cold_km"})
    made["cold_km"] = rows["km"] * (30 - rows["temp"].fillna(0))
    made["hour"] = rows["at"].dt.hour
    return made
'''
ROW = {"origin": "JFK", "km": 5.0}
RECIPE = Recipe("trips", ("weather_at_origin", "rider_so_far"), ("shape",))


def make(root: Path) -> Path:
    """Make the project in ``root``: 300 trips until a week before ``NOW``, v1 is the champion."""
    (root / "mlkit.toml").write_text("[features]\ncheck_s = 0\n")
    declare(root)
    project = create_project(root, environment=environment(root))
    learn(project)
    project.close()
    return root


def declare(root: Path) -> None:
    """Write features.py and the clock."""
    (root / "features.py").write_text(FEATURES)
    (root / "now").write_text(NOW)


def learn(project: Project) -> None:
    """Add the datasets, join them, and train v1."""
    _add(project, "weather", weather("2026-02-01", 24 * 28), time="hour")
    _add(project, "rides", rides("2026-02-01", 300), time="at")
    _add(project, "trips", trips(), time="at", target="minutes", entity="rider")
    joining.join(project, "trips_featured", RECIPE)
    train.train(project, "trips", "trips_featured", estimator="linear", promote=True)


def environment(root: Path) -> dict[str, str]:
    """Return the variables by which the project has its clock."""
    return {"MLKIT_CLOCK": str(root / "now")}


class Featured:
    """An open project like that, its clock, and a server in this process."""

    def __init__(self, root: Path, project: Project | None = None) -> None:
        self.project = project or open_project(root, environment=environment(root))

    @cached_property
    def client(self) -> FlaskClient:
        """A client of the server."""
        return create_app(self.project).test_client()

    def at(self, moment: str) -> None:
        """Let it be ``moment``."""
        (self.project.root / "now").write_text(moment)

    def declare(self, old: str, new: str) -> None:
        """Change the text of features.py."""
        file = self.project.root / "features.py"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def materialize(self, *names: str) -> None:
        """Bring the online values up to date."""
        materialize.materialize(self.project, names)

    def predict(self, *rows: Any, **fields: Any) -> Any:
        """Ask for predictions."""
        return self.post("/predict/trips", {"rows": rows, **fields})

    def post(self, path: str, body: Any, kind: str = "application/json") -> Any:
        """Send a request; anything but text goes as JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        return self.client.post(path, data=text, content_type=kind)

    def logged(self) -> list[dict[str, Any]]:
        """Return what went on record."""
        self.client.application.extensions[SERVICE].stop()
        start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
        found: list[dict[str, Any]] = logs.read(
            self.project, "trips", start=start, end=end
        ).to_pylist()
        return found


def _add(project: Project, name: str, frame: pd.DataFrame, **roles: str) -> None:
    file = project.root / f"{name}.parquet"
    frame.to_parquet(file)
    ingest.add(project, name, file, **roles)


def weather(start: str, hours: int) -> pd.DataFrame:
    """Return the weather of every hour at two airports; it was seen five minutes earlier."""
    moments = pd.date_range(start, periods=hours, freq="h", tz="UTC")
    number = np.arange(hours)
    parts = [
        pd.DataFrame({"origin": origin, "hour": moments, "temp": (number % 24) + shift,
                      "seen_at": moments - pd.Timedelta("5min")})
        for origin, shift in (("JFK", 0.5), ("LGA", 5.5))
    ]  # fmt: skip
    return pd.concat(parts)


def rides(start: str, count: int) -> pd.DataFrame:
    """Return the rides of ten riders, one every two hours, each with what was so far."""
    number = np.arange(count)
    return pd.DataFrame({
        "rider": number % 10,
        "at": pd.date_range(start, periods=count, freq="2h", tz="UTC"),
        "rides": number // 10 + 1,
        "best": np.where(number % 3 == 0, "short", "long"),
    })  # fmt: skip


def trips() -> pd.DataFrame:
    """Return 300 trips of twelve riders, of whom two never ride."""
    rng = np.random.default_rng(0)
    km = np.round(rng.uniform(1, 20, 300), 1)
    origin = np.where(np.arange(300) % 2 == 0, "JFK", "LGA")
    return pd.DataFrame({
        "at": pd.date_range("2026-02-02 00:20", periods=300, freq="90min", tz="UTC"),
        "rider": np.arange(300) % 12,
        "origin": origin,
        "km": km,
        "minutes": np.round(3 * km + 2 * (origin == "LGA") + rng.normal(0, 1, 300), 1),
    })  # fmt: skip
