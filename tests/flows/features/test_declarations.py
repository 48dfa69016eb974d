"""features.py: what may stand in it, what is wrong in it is named, and joins by it."""

from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from mlkit.errors import ConflictError, InvalidInputError, NotFoundError
from mlkit.flows.data import ingest
from mlkit.flows.features import declarations, joining, view_rows
from mlkit.flows.features.joining import Recipe
from mlkit.project import Project
from mlkit.store import datasets

HEAD = "from mlkit.features import feature_view, on_demand, sql_view\n"
WEATHER = HEAD + dedent("""
    @feature_view(source="weather", entity="origin", time="hour", ttl="3h", owner="ops")
    def weather_at_origin(weather):
        \"\"\"The weather at the airport.\"\"\"
        return weather[["origin", "hour", "temp"]]
""")


@pytest.fixture
def flights(project: Project) -> Project:
    """Flights and hourly weather of two airports; the weather has a gap."""
    hours = pd.date_range("2026-01-01", periods=24, freq="h", tz="UTC")
    weather = pd.DataFrame(
        [(origin, hour, float(number) + shift) for origin, shift in (("JFK", 0), ("LGA", 100))
         for number, hour in enumerate(hours) if not 10 <= number < 16],
        columns=["origin", "hour", "temp"],
    )  # fmt: skip
    flown = pd.DataFrame({"origin": ["JFK", "LGA", "JFK", "XXX", "JFK"] * 12,
                          "at": pd.date_range("2026-01-01 00:30", periods=60, freq="30min"),
                          "late": range(60)})  # fmt: skip
    for name, frame in (("weather", weather), ("flights", flown)):
        frame.to_parquet(project.root / f"{name}.parquet")
    ingest.add(project, "weather", project.root / "weather.parquet", time="hour")
    ingest.add(project, "flights", project.root / "flights.parquet", target="late", time="at")
    declare(project, WEATHER)
    return project


def declare(project: Project, text: str) -> None:
    (project.root / "features.py").write_text(text)


def _view(body: str, **changes: str) -> str:
    options = {"source": "'weather'", "entity": "'origin'", "time": "'hour'", **changes}
    listed = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"{HEAD}@feature_view({listed})\ndef v(weather):\n    {body}\n"


WRONG = {
    "def (": "features.py, line 1: invalid syntax",
    "import nothing_there": r"features.py, line 1: ModuleNotFoundError",
    "x = 1\nx / 0": r"features.py, line 2: ZeroDivisionError",
    _view("pass", ttl="'3 hours'"): "feature view 'v': ttl '3 hours' is not a duration",
    _view("pass", on_missing="'zero'"): "feature view 'v': on_missing is \"null\", \"refuse\"",
    _view("pass", version="0"): "feature view 'v': version counts from 1",
    _view("pass", entity="'hour'"): "entity and time are the same column 'hour'",
    _view("pass") + "w = v\n" + _view("pass"): "declares feature view 'v' twice",
    _view("pass", tests="[3]"): "a test is a function or rules",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_the_file_is_named(project: Project, text: str) -> None:
    declare(project, text)
    with pytest.raises(InvalidInputError, match=WRONG[text]):
        declarations.load(project)


WRONG_ROWS = {
    _view("return weather['origin']"): "'v' returned Series, not a DataFrame",
    _view("return weather[['hour', 'temp']]"): "'v' has no column 'origin' for its entity",
    _view("return weather[['origin', 'hour']]"): "no column besides 'origin' and 'hour'",
    _view("return weather[['origin', 'hour', 'temp', 'temp']]"): "several columns named 'temp'",
    _view("return weather.drop(columns='nothing')"): "features.py, line 4, feature view 'v': Key",
    _view("return weather.assign(origin=None)"): "'origin': 36 of 36 rows have no value",
    _view("return weather.assign(origin=weather['temp'])"): "an entity is an integer or text",
    _view("return weather.assign(hour='noon')"): "row 1 has 'noon', which is no point in time",
    _view("return weather", on_missing="{'tmp': 1}"): "on_missing names 'tmp', which is none of",
    _view("return weather", on_missing="{'temp': 'x'}"): "is 'x', which is no number",
    _view("return weather.assign(temp=[1, 'a'] * 18)"): "'temp': values of one type are needed",
    _view("return weather", source="'nothing'"): "'v' is made of dataset 'nothing': no dataset",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG_ROWS)
def test_what_is_wrong_in_the_rows_of_a_view_is_named(flights: Project, text: str) -> None:
    declare(flights, text)
    declared = declarations.load(flights)
    with pytest.raises((InvalidInputError, NotFoundError), match=WRONG_ROWS[text]):
        view_rows.compute(flights, declared, declared.view("v"))


def test_a_project_without_the_file_is_told_to_write_one(project: Project) -> None:
    with pytest.raises(NotFoundError, match="has no features"):
        declarations.load(project)


def test_an_edit_counts_at_once_and_a_declared_view_is_still_a_function(flights: Project) -> None:
    assert declarations.load(flights).view("weather_at_origin").ttl == "3h"
    declare(flights, WEATHER.replace("3h", "4h"))
    view = declarations.load(flights).view("weather_at_origin")
    assert (view.ttl, view.owner, view.description) == ("4h", "ops", "The weather at the airport.")
    frame = pd.DataFrame({"origin": ["a"], "hour": [1], "temp": [2], "wind": [3]})
    assert list(view(frame).columns) == ["origin", "hour", "temp"]
    assert not (flights.root / "__pycache__").exists()


def test_declaring_features_imports_nothing_heavy(flights: Project) -> None:
    import subprocess
    import sys

    code = "import sys, mlkit.features; print(*{n.split('.')[0] for n in sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(printed.stdout.split()) & {"pandas", "pyarrow", "numpy", "sqlalchemy"}


def _rows(project: Project, name: str) -> pd.DataFrame:
    with project.read() as s:
        sha256 = datasets.get_version(s, name).sha256
    return ingest.load_table(project, sha256).to_pandas()


def test_a_joined_dataset_has_what_was_known_at_each_row_and_says_how(flights: Project) -> None:
    made = Recipe("flights", ("weather_at_origin",))
    added = joining.join(flights, "flights_weather", made)
    assert (added.version, added.rows, added.new) == (1, 60, True)
    rows = _rows(flights, "flights_weather")
    assert list(rows.columns) == ["origin", "at", "late", "temp"]
    assert rows["temp"].tolist()[:3] == [0.0, 101.0, 1.0]
    assert rows["temp"][rows["origin"] == "XXX"].isna().all()
    gap = rows[(rows["at"].dt.hour >= 12) & (rows["at"].dt.hour < 16)]
    assert gap["temp"].isna().all()
    with flights.read() as s:
        version = datasets.get_version(s, "flights_weather")
        roles = (version.dataset.target, version.dataset.time_column)
        record = version.transformation
    assert roles == ("late", "at")
    assert version.parents == ["flights@1", "weather@1"]
    assert (record["kind"], record["base"]) == ("join", "flights@1")
    (view,) = record["views"]
    expected = {"name": "weather_at_origin", "version": 1, "dataset": "weather@1", "ttl": "3h"}
    assert expected.items() <= view.items()
    assert (view["columns"], view["types"]) == (["temp"], ["number"])
    assert (view["entity"], view["key"]) == ("origin", "text")


def test_a_join_of_the_same_things_is_no_new_version(flights: Project) -> None:
    made = Recipe("flights", ("weather_at_origin",))
    joining.join(flights, "joined", made)
    assert not joining.join(flights, "joined", made).new
    declare(flights, WEATHER + "\n# a remark\n")
    assert joining.join(flights, "joined", made).version == 1
    declare(flights, WEATHER.replace('"3h"', "None"))
    assert joining.join(flights, "joined", made).version == 2


def test_transformations_on_demand_follow_the_views(flights: Project) -> None:
    declare(flights, WEATHER + dedent("""
        @on_demand(inputs=["temp"])
        def heat(rows):
            return (rows["temp"] > 100).to_frame("hot")
    """))  # fmt: skip
    joining.join(flights, "hot", Recipe("flights", ("weather_at_origin",), ("heat",)))
    assert _rows(flights, "hot")["hot"].tolist()[:3] == [False, True, False]
    with flights.read() as s:
        (record,) = datasets.get_version(s, "hot").transformation["on_demand"]
    assert (record["name"], record["columns"], record["inputs"]) == ("heat", ["hot"], ["temp"])


SQL = """
view = sql_view("mean_temp", source=%r, entity="origin", time="hour", query='''%s''')
"""


def test_a_view_by_a_query_over_a_dataset_gives_the_same_rows(flights: Project) -> None:
    query = "SELECT origin, hour, temp AS celsius FROM weather WHERE temp >= 0"
    declare(flights, HEAD + SQL % ("weather", query))
    declared = declarations.load(flights)
    table = view_rows.compute(flights, declared, declared.view("mean_temp")).table
    assert table.to_pandas()["hour"].tolist() == _rows(flights, "weather")["hour"].tolist()
    assert table.column("celsius").to_pylist() == _rows(flights, "weather")["temp"].tolist()


@pytest.mark.parametrize(
    "hour",
    [
        "weather['hour'].dt.tz_convert('Asia/Tokyo')",
        "weather['hour'].dt.tz_convert('Asia/Tokyo').astype(object)",
        "weather['hour'].dt.tz_localize(None)",
        "weather['hour'].dt.tz_convert('Asia/Tokyo').map(lambda t: t.isoformat())",
    ],
)
def test_times_of_any_zone_are_the_same_moments_and_those_of_none_are_utc(
    flights: Project, hour: str
) -> None:
    declare(flights, _view(f"return weather.assign(hour={hour})"))
    declared = declarations.load(flights)
    table = view_rows.compute(flights, declared, declared.view("v")).table
    assert table.to_pandas()["hour"].tolist() == _rows(flights, "weather")["hour"].tolist()


def test_a_view_by_a_query_in_a_database_cannot_change_it(flights: Project, tmp_path: Path) -> None:
    import sqlite3

    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE t (origin TEXT, hour TEXT, temp REAL)")
    other.execute("INSERT INTO t VALUES ('JFK', '2026-01-01T00:00:00Z', 1.5)")
    other.commit()
    url = f"sqlite:///{tmp_path}/other.sqlite"
    declare(flights, HEAD + SQL % (url, "SELECT * FROM t"))
    declared = declarations.load(flights)
    table = view_rows.compute(flights, declared, declared.view("mean_temp")).table
    assert table.column("temp").to_pylist() == [1.5]
    declare(flights, HEAD + SQL % (url, "DELETE FROM t RETURNING origin, hour, temp"))
    declared = declarations.load(flights)
    with pytest.raises(InvalidInputError, match=r"'mean_temp': sqlite:.* is used readonly"):
        view_rows.compute(flights, declared, declared.view("mean_temp"))
    other.close()


@pytest.mark.parametrize(
    ("name", "made", "kind", "message"),
    [
        ("flights", Recipe("flights", ("weather_at_origin",)), InvalidInputError, "to itself"),
        ("weather", Recipe("flights", ("weather_at_origin",)), ConflictError, "is no join"),
        ("new", Recipe("flights", ("nothing",)), NotFoundError, "known: weather_at_origin"),
        ("new", Recipe("nothing", ("weather_at_origin",)), NotFoundError, "no dataset named"),
        ("new", Recipe("flights"), InvalidInputError, "joins nothing"),
    ],
)
def test_a_join_that_cannot_be_leaves_no_trace(
    flights: Project, name: str, made: Recipe, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        joining.join(flights, name, made)
    with flights.read() as s:
        assert [v.number for n in datasets.list_names(s) for v in datasets.get(s, n).versions] == [
            1, 1,
        ]  # fmt: skip
