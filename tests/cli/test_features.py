"""``mlkit features`` as a person uses it: declare, join, train, materialise, look up, test."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlkit.flows.data import ingest
from mlkit.project import Project, create_project, open_project

FEATURES = """
from mlkit.features import feature_view, on_demand

@feature_view(
    source="weather", entity="origin", time="hour", ttl="3h", owner="ops",
    on_missing={"temp": 0.0},
    tests=[{"temp": {"checks": {"in_range": {"min_value": -50, "max_value": 60}}}}],
)
def weather_at_origin(weather):
    "The weather at the airport."
    return weather[["origin", "hour", "temp"]]

@on_demand(inputs=["distance", "temp"])
def mix(rows):
    return (rows["distance"] * rows["temp"]).to_frame("heat")
"""
HOURS = 24 * 10


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A champion that was trained on flights joined with the weather of ten days until now."""
    root = tmp_path_factory.mktemp("flown") / "project"
    root.mkdir()
    (root / "mlkit.toml").touch()
    project = create_project(root, environment={})
    rng = np.random.default_rng(0)
    now = pd.Timestamp(project.now()).floor("h")
    hours = now - pd.to_timedelta(np.arange(HOURS)[::-1], unit="h")
    weather = pd.DataFrame(
        [(origin, hour, round(float(temp), 1)) for origin in ("EWR", "JFK")
         for hour, temp in zip(hours, rng.normal(10, 5, HOURS), strict=True)],
        columns=["origin", "hour", "temp"],
    )  # fmt: skip
    flights = pd.DataFrame({
        "origin": rng.choice(["EWR", "JFK"], 300), "distance": rng.integers(100, 900, 300),
        "at": now - pd.to_timedelta(rng.integers(600, 24 * 9 * 60, 300), unit="min"),
    })  # fmt: skip
    flights["late"] = np.where(flights["distance"] + rng.normal(0, 100, 300) > 500, "yes", "no")
    for name, frame in (("weather", weather), ("flights", flights)):
        frame.to_parquet(root / f"{name}.parquet")
    ingest.add(project, "weather", root / "weather.parquet", time="hour")
    ingest.add(project, "flights", root / "flights.parquet", target="late", time="at")
    (root / "features.py").write_text(FEATURES)
    project.close()
    return root


@pytest.fixture
def shop(flown: Path, tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "shop"
    shutil.copytree(flown, root)
    project = open_project(root, environment={})
    yield project
    project.close()


@pytest.fixture
def run(shop: Project, cli: Any) -> Any:
    return cli.of(shop.root)


def _champion(run: Any) -> None:
    run("features", "join", "flights", "weather_at_origin", "--as", "joined")
    run("train", "late", "--data", "joined", "--estimator", "linear", "--promote")


def _weather(shop: Project) -> pd.DataFrame:
    return pd.read_parquet(shop.root / "weather.parquet")


def test_from_declaration_to_look_up(shop: Project, run: Any) -> None:
    listed = run.json("features", "list")
    assert [(x["name"], x["kind"], x["online"]) for x in listed] == [
        ("weather_at_origin", "view", "never"), ("mix", "on_demand", None),
    ]  # fmt: skip
    run("features", "get", "weather_at_origin", "JFK", code=1)
    (done,) = run.json("features", "materialize")
    assert (done["rows"], done["written"], done["full"]) == (2, 2, True)
    assert "0 rows written" in run("features", "materialize", "weather_at_origin").stdout
    assert run.json("features", "list")[0]["online"] == "current"
    jfk, nowhere = run.json("features", "get", "weather_at_origin", "JFK", "XXX")
    newest = _weather(shop)[lambda w: w["origin"] == "JFK"]["temp"].tolist()[-1]
    assert (jfk["state"], jfk["features"]) == ("fresh", {"temp": newest})
    assert 0 <= jfk["age_s"] < 3 * 3600
    assert (nowhere["state"], nowhere["features"]) == ("absent", {"temp": 0.0})
    assert "fresh" in run("features", "get", "weather_at_origin", "JFK").stdout


def test_a_joined_dataset_trains_a_model_and_lineage_tells(shop: Project, run: Any) -> None:
    added = run.json("features", "join", "flights", "weather_at_origin", "--as", "joined",
                     "--on-demand", "mix")  # fmt: skip
    assert (added["version"], added["rows"], added["new"]) == (1, 300, True)
    again = run("features", "join", "flights@1", "weather_at_origin", "--as", "joined",
                "--on-demand", "mix").stdout  # fmt: skip
    assert "these rows are joined@1 already" in again
    run("train", "late", "--data", "joined", "--estimator", "linear", "--promote")
    found = run.json("features", "lineage", "weather_at_origin")
    assert (found["source_version"], found["columns"]) == ("weather@1", ["temp"])
    (use,) = found["uses"]
    assert (use["dataset"], use["made_of"]) == ("joined@1", "weather@1")
    assert use["models"] == use["deployed"] == ["late@1"]
    assert "late@1 (champion)" in run("features", "lineage", "mix").stdout
    run("features", "lineage", "nothing", code=1)
    assert "computed for each request from distance, temp" in run("features", "show", "mix").stdout
    assert [column["name"] for column in run.json("features", "show", "mix")["columns"]] == ["heat"]
    known = run("features", "show", "nothing", code=1).stderr
    assert "known: mix, weather_at_origin" in known
    assert "mlkit features lineage" in run("lineage", "weather_at_origin", code=1).stderr


def test_a_model_of_a_joined_dataset_is_retrained_on_a_new_join(shop: Project, run: Any) -> None:
    (shop.root / "mlkit.toml").write_text(
        '[datasets.joined]\nbase = "flights"\nviews = ["weather_at_origin"]\n'
        '[models.late]\nretrain_data = "source"\n'
    )
    _champion(run)
    assert "the source of joined has not changed since joined@1" in run("retrain", "late").stdout
    colder = _weather(shop).assign(temp=lambda w: (w["temp"] - 0.1).round(1))
    colder.to_parquet(shop.root / "colder.parquet")
    run("data", "add", "weather", shop.root / "colder.parquet")
    done = run.json("retrain", "late")
    assert done["version"] == 2
    assert run.json("data", "show", "joined")["versions"][-1]["parents"][0] == "flights@1"


def test_show_compares_what_the_view_makes_of_the_last_two_versions(
    shop: Project, run: Any
) -> None:
    assert run.json("features", "show", "weather_at_origin")["drift"] is None
    warmer = _weather(shop).assign(temp=lambda w: w["temp"] + 20)
    warmer.to_parquet(shop.root / "warmer.parquet")
    run("data", "add", "weather", shop.root / "warmer.parquet")
    shown = run.json("features", "show", "weather_at_origin")
    assert (shown["rows"], shown["entities"]) == (2 * HOURS, 2)
    assert shown["compared"] == ["weather@1", "weather@2"]
    assert shown["drift"]["verdict"] == "drift"
    assert shown["columns"] == [{"name": "temp", "type": "number"}]
    assert "owner ops" in run("features", "show", "weather_at_origin").stdout


def test_the_tests_of_a_view_decide_the_exit_code(shop: Project, run: Any) -> None:
    passed = run.json("features", "test")
    assert [(t["test"], t["passed"]) for t in passed["tests"]] == [
        ("rows", True), ("past", True), ("rules", True), ("alone", True),
    ]  # fmt: skip
    text = FEATURES.replace('"max_value": 60}}}}]', '"max_value": 9}}}}, cool]')
    cool = "\ndef cool(rows):\n    assert rows['temp'].max() < 9, 'too warm'\n"
    (shop.root / "features.py").write_text(text.replace("\n@feature", cool + "\n@feature", 1))
    failed = run.json("features", "test", "weather_at_origin", code=3)
    assert [(t["test"], t["passed"]) for t in failed["tests"]] == [
        ("rows", True), ("past", True), ("rules", False), ("cool", False),
    ]  # fmt: skip
    assert "temp" in failed["tests"][2]["message"]
    assert "too warm" in run("features", "test", code=3).stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'return weather[["origin", "hour", "temp"]]',
            'return weather.assign(temp=weather["temp"] - weather["temp"].mean())'
            '[["origin", "hour", "temp"]]',
            "before later rows came and is",
        ),
        ('rows["distance"] * rows["temp"]', 'rows["distance"].rank()', "alone and"),
        ('"temp"]]', '"nothing"]]', "KeyError"),
    ],
)
def test_what_would_differ_in_serving_is_found(
    shop: Project, run: Any, old: str, new: str, message: str
) -> None:
    run("features", "join", "flights", "weather_at_origin", "--as", "joined", "--on-demand", "mix")
    (shop.root / "features.py").write_text(FEATURES.replace(old, new))
    failed = [
        t["message"] for t in run.json("features", "test", code=3)["tests"] if not t["passed"]
    ]
    assert len(failed) == 1
    assert message in failed[0]


def _served(shop: Project, count: int, late: timedelta) -> pd.DataFrame:
    """Return rows that are served a minute apart, in three hours until now, with what is true."""
    weather = _weather(shop)
    weather = weather[weather["origin"] == "JFK"].set_index("hour")["temp"]
    start = pd.Timestamp(shop.now())
    times = [start - timedelta(hours=6) + timedelta(minutes=number) for number in range(count)]
    temps = [float(weather[weather.index <= time - late].iloc[-1]) for time in times]
    return pd.DataFrame({"origin": "JFK", "distance": 500, "temp": temps, "late": "yes"})


@pytest.mark.parametrize(
    ("late", "change", "expected"),
    [
        (timedelta(0), 0.0, {"equal": 200, "lagging": 0, "skewed": 0}),
        (timedelta(minutes=30), 0.0, {"skewed": 0}),
        (timedelta(0), 1.0, {"equal": 0, "lagging": 0, "skewed": 200}),
    ],
)
def test_logged_predictions_are_compared_with_the_training_path(
    shop: Project, run: Any, answer: Callable[..., None], late: timedelta, change: float,
    expected: dict[str, int],
) -> None:  # fmt: skip
    _champion(run)
    frame = _served(shop, 200, late).assign(temp=lambda f: f["temp"] + change)
    answer(shop, frame, age=timedelta(hours=6), model="late", step_s=60)
    code = 3 if change else 0
    (model,) = run.json("features", "test", code=code)["skew"]
    (view,) = model["views"]
    assert {name: view[name] for name in expected} == expected
    assert view["equal"] + view["lagging"] + view["skewed"] == 200
    assert (view["lagging"] > 0) is (late > timedelta(0))
    if change:
        assert view["columns"] == {"temp": 200}
        first = view["examples"][0]
        assert first["served"]["temp"] == pytest.approx(first["expected"]["temp"] + 1)
        assert "served {'temp'" in run("features", "test", code=3).stdout


def test_a_lag_that_is_longer_than_allowed_is_skew(
    shop: Project, run: Any, answer: Callable[..., None]
) -> None:
    _champion(run)
    frame = _served(shop, 200, timedelta(minutes=30))
    answer(shop, frame, age=timedelta(hours=6), model="late", step_s=60)
    found = run.json("features", "test", "--lag", "5m", code=3)["skew"][0]["views"][0]
    assert found["skewed"] > 0
    assert found["lagging"] > 0


def test_a_project_without_features_has_an_empty_list(run: Any, shop: Project) -> None:
    (shop.root / "features.py").unlink()
    assert run.json("features", "list") == []
    assert "no features yet" in run("features", "list").stdout
    assert run.json("features", "materialize") == []
    run("features", "show", "x", code=1)


@pytest.mark.parametrize("column", ["heat", "origin"])
def test_a_model_may_ignore_a_feature_and_whom_it_is_about(
    shop: Project, run: Any, tmp_path: Path, column: str
) -> None:
    run("features", "join", "flights", "weather_at_origin", "--as", "joined", "--on-demand", "mix")
    run("features", "materialize")
    said = run("train", "late", "--data", "joined", "--ignore", "distance", code=1).stderr
    assert "'distance' cannot be ignored: the on-demand transformation 'mix' of joined@1" in said
    run("train", "late", "--data", "joined", "--ignore", column, "--estimator", "linear",
        "--promote")  # fmt: skip
    (tmp_path / "rows.csv").write_text("origin,distance\nJFK,800\nEWR,100\n")
    assert len(run("predict", "late", tmp_path / "rows.csv").stdout.splitlines()) == 3
