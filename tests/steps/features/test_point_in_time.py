"""The point-in-time join against a reference that looks at every row of the view."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.provenance import ViewUse
from mlkit.steps.features import point_in_time
from mlkit.steps.tables import dtypes

START = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.one_of(
    st.integers(0, 12).map(lambda hours: START + timedelta(hours=hours)),
    st.sampled_from([datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)]),
)
ENTITIES = {"integer": st.integers(-2, 3), "text": st.sampled_from(["", "a", "b", "ab"])}


def _use(**changes: Any) -> ViewUse:
    plain = {
        "name": "v", "version": 1, "dataset": "d@1", "columns": ("x",), "types": ("number",),
        "entity": "key", "key": "text",
    }  # fmt: skip
    return ViewUse(**{**plain, **changes})


def _view(rows: list[tuple[Any, datetime, Any]], kind: pa.DataType) -> pa.Table:
    keys, times, values = ([row[place] for row in rows] for place in range(3))
    arrays = [
        pa.array(keys, kind),
        pa.array(times, dtypes.DATETIME),
        pa.array(values, dtypes.NUMBER),
    ]
    return pa.table(dict(zip(["key", "at", "x"], arrays, strict=True)))


def _rows(rows: list[tuple[Any, datetime | None]], kind: pa.DataType) -> pa.Table:
    keys, times = ([row[place] for row in rows] for place in range(2))
    return pa.table({"key": pa.array(keys, kind), "time": pa.array(times, dtypes.DATETIME)})


def _by_hand(
    key: Any, moment: datetime | None, view: list[tuple[Any, datetime, Any]], ttl: timedelta | None
) -> Any:
    best = None
    for place, (entity, event, value) in enumerate(view):
        fits = key is not None and moment is not None and entity == key and event <= moment
        if fits and (ttl is None or event > moment - ttl):  # type: ignore[operator]  # moment is one
            best = max(best or (event, place, value), (event, place, value), key=lambda b: b[:2])
    return None if best is None else best[2]


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(), key=st.sampled_from(["integer", "text"]), hours=st.none() | st.integers(1, 5)
)
def test_the_join_finds_what_a_look_at_every_row_finds(
    data: st.DataObject, key: str, hours: int | None
) -> None:
    kind = dtypes.INTEGER if key == "integer" else dtypes.TEXT
    value = st.none() | st.floats(-9, 9)
    view = data.draw(st.lists(st.tuples(ENTITIES[key], MOMENTS, value), max_size=25))
    row = st.tuples(st.none() | ENTITIES[key], st.none() | MOMENTS)
    rows = data.draw(st.lists(row, max_size=25))
    use = _use(key=key, ttl=f"{hours}h" if hours else None)
    index = point_in_time.index(_view(view, kind), use)
    size = data.draw(st.integers(1, 30))
    chunks = point_in_time.sliced(_rows(rows, kind), size)
    joined = pa.concat_tables(point_in_time.join(chunks, [index], "time"))
    ttl = timedelta(hours=hours) if hours else None
    assert joined.drop(["x"]).to_pylist() == _rows(rows, kind).to_pylist()
    expected = [_by_hand(*line, view, ttl) if line[1] is None or line[1].year > 1 else
                _by_hand(line[0], line[1], view, None) for line in rows]  # fmt: skip
    assert joined["x"].to_pylist() == expected


def test_a_value_holds_until_its_ttl_is_over() -> None:
    view = _view([("a", START, 1.0)], dtypes.TEXT)
    index = point_in_time.index(view, _use(ttl="1h"))
    second = timedelta(seconds=1)
    times = [START - second, START, START + timedelta(hours=1) - second, START + timedelta(hours=1)]
    rows = _rows([("a", time) for time in times], dtypes.TEXT)
    (joined,) = point_in_time.join([rows], [index], "time")
    assert joined["x"].to_pylist() == [None, 1.0, 1.0, None]


def test_of_equal_times_the_last_row_counts() -> None:
    view = _view([("a", START, 1.0), ("a", START, 2.0), ("a", START, None)], dtypes.TEXT)
    index = point_in_time.index(view, _use())
    (joined,) = point_in_time.join([_rows([("a", START)], dtypes.TEXT)], [index], "time")
    assert joined["x"].to_pylist() == [None]


def test_a_default_stands_for_a_row_without_value_and_not_for_a_missing_value() -> None:
    view = _view([("a", START, None), ("b", START, 3.0)], dtypes.TEXT)
    index = point_in_time.index(view, _use(on_missing={"x": 15}))
    rows = _rows([("a", START), ("b", START), ("c", START), (None, START)], dtypes.TEXT)
    (joined,) = point_in_time.join([rows], [index], "time")
    assert joined["x"].to_pylist() == [None, 3.0, 15.0, 15.0]


def test_a_view_without_rows_leaves_every_value_missing() -> None:
    index = point_in_time.index(_view([], dtypes.TEXT), _use())
    (joined,) = point_in_time.join([_rows([("a", START)], dtypes.TEXT)], [index], "time")
    assert joined["x"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_rows([(1.5, START)], dtypes.NUMBER), "'key' is of type number in the rows and text in"),
        (pa.table({"time": pa.array([START], dtypes.DATETIME)}), "the rows have no column 'key'"),
        (pa.table({"key": ["a"], "time": [1]}), "holds no points in time but integer"),
        (_rows([("a", START)], dtypes.TEXT).append_column("x", [[1]]), "column 'x' comes from the"),
    ],
)
def test_rows_that_do_not_fit_the_view_are_refused(rows: pa.Table, message: str) -> None:
    index = point_in_time.index(_view([("a", START, 1.0)], dtypes.TEXT), _use())
    with pytest.raises(InvalidInputError, match=message):
        list(point_in_time.join([rows], [index], "time"))


def test_the_memory_of_a_join_is_that_of_its_output() -> None:
    program = Path(__file__).with_name("memory_of_join.py")
    printed = subprocess.check_output([sys.executable, program, "1000000"], text=True)
    peak, output = map(int, printed.split())
    assert peak < 2 * output
