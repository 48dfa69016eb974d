"""Times drift by how long ago they were and how far apart they are."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlkit.steps.drift import detection, times
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.result import DriftResult

START = datetime(2026, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


def orders(rows: int, seed: int, *, days: float = 30, start: datetime = START) -> pa.Table:
    """Return last orders, so many days ago on average, of rows that come every minute."""
    ago = np.random.default_rng(seed).exponential(days, rows)
    moments = [start + timedelta(minutes=i) for i in range(rows)]
    last = [moment - timedelta(days=float(d)) for moment, d in zip(moments, ago, strict=True)]
    table = pa.table({"at": pa.array(moments, TIME), "last_order": pa.array(last, TIME)})
    return times.stamp(table, "at").drop_columns(["at"])


def compare(first: pa.Table, second: pa.Table, minutes: float | None = None) -> DriftResult:
    spans = (None, None) if minutes is None else (first.num_rows * 60.0, minutes * 60)
    return detection.compare_tables(first, second, DriftRule(ordered=True), spans_s=spans)


def test_older_times_are_drift_and_the_passing_of_time_is_none() -> None:
    first = orders(3_000, 1)
    later = START + timedelta(days=200)
    assert compare(first, orders(1_000, 2, start=later)).drifted == ()
    found = compare(first, orders(1_000, 2, days=60, start=later))
    assert found.drifted == ("age(last_order)",)
    (age,) = (f for f in found.features if f.kind == "age")
    assert (age.column, age.test) == ("last_order", "ks")
    assert "shift by" in age.minimum_detectable_in_words


def test_nothing_is_said_of_an_age_where_the_rows_have_no_time() -> None:
    bare = orders(3_000, 1).drop_columns([times.MOMENT])
    assert {f.kind for f in compare(bare, orders(500, 2)).features} == {"hour"}
    assert {f.kind for f in compare(orders(3_000, 1), bare).features} == {"hour"}


def events(rows: int, seed: int, *, bursts: int = 1) -> pa.Table:
    """Return times of events, one a minute on average, so many at once."""
    gaps = np.random.default_rng(seed).exponential(60.0, rows)
    gaps[np.arange(rows) % bursts != 0] /= 100
    seconds = np.cumsum(gaps * rows * 60 / gaps.sum())
    return pa.table(
        {"seen": pa.array([START + timedelta(seconds=float(s)) for s in seconds], TIME)}
    )


def test_events_in_bursts_have_other_gaps() -> None:
    first = events(4_000, 1)
    assert "gap(seen)" not in compare(first, events(1_000, 2), 1_000).drifted
    assert "gap(seen)" in compare(first, events(1_000, 2, bursts=5), 1_000).drifted


@pytest.mark.parametrize("minutes", [None, 500, 2_000])
def test_gaps_are_not_compared_where_the_pace_is_another_or_unknown(minutes: float | None) -> None:
    """The reference may be a sample of what is asked: its gaps are wider for that alone."""
    found = compare(events(4_000, 1), events(1_000, 2), minutes)
    assert "gap" not in {f.kind for f in found.features}


def test_times_in_no_order_have_no_gaps() -> None:
    assert not times.grows(orders(500, 1)["last_order"])
    assert times.grows(events(500, 1)["seen"])
    assert not times.grows(pa.chunked_array([pa.nulls(3, TIME)]))


def test_ages_and_gaps_are_in_days_and_seconds() -> None:
    moments = pa.chunked_array([pa.array([START, START, None], TIME)])
    column = pa.chunked_array([pa.array([START - timedelta(days=2), None, START], TIME)])
    assert times.ages(column, moments).to_pylist() == [2.0, None, None]
    assert times.gaps(column).to_pylist() == [2 * 86_400.0]


def test_only_a_column_of_times_stamps_rows() -> None:
    table = pa.table({"n": [1, 2]})
    assert times.stamp(table, "n") is table
    assert times.stamp(table, None) is table
