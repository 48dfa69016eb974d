from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.tables import casts, dtypes


def _canonical(values: list[object], kind: pa.DataType) -> pa.ChunkedArray:
    return casts.canonical(pa.chunked_array([pa.array(values, kind)]), "x")


@pytest.mark.parametrize(
    ("values", "kind", "expected", "type_"),
    [
        ([1, None], pa.int8(), [1, None], dtypes.INTEGER),
        ([2**63], pa.uint64(), [str(2**63)], dtypes.TEXT),
        ([Decimal(10**30)], pa.decimal128(38, 0), [str(10**30)], dtypes.TEXT),
        ([Decimal(7), None], pa.decimal128(38, 0), [7, None], dtypes.INTEGER),
        ([1.5], pa.float16(), [1.5], dtypes.NUMBER),
        ([7], pa.uint64(), [7], dtypes.INTEGER),
        ([1.5, float("nan")], pa.float32(), [1.5, None], dtypes.NUMBER),
        ([Decimal("1.25")], pa.decimal128(5, 2), [1.25], dtypes.NUMBER),
        (["a"], pa.large_string(), ["a"], dtypes.TEXT),
        (["a", "b", "a"], pa.dictionary(pa.int8(), pa.string()), ["a", "b", "a"], dtypes.TEXT),
        ([None, None], pa.null(), [None, None], dtypes.NUMBER),
        ([True], pa.bool_(), [True], dtypes.BOOLEAN),
        ([0], pa.date32(), [datetime(1970, 1, 1, tzinfo=UTC)], dtypes.DATETIME),
        ([3_600_000], pa.time32("ms"), ["01:00:00.000"], dtypes.TEXT),
    ],
)
def test_every_flat_type_becomes_one_of_five(
    values: list[object], kind: pa.DataType, expected: list[object], type_: pa.DataType
) -> None:
    column = _canonical(values, kind)
    assert (column.to_pylist(), column.type) == (expected, type_)


def test_a_time_without_a_zone_is_utc_and_one_with_a_zone_keeps_its_instant() -> None:
    naive = _canonical([datetime(2026, 1, 1, 12)], pa.timestamp("s"))  # noqa: DTZ001  # the point
    zoned = _canonical([datetime(2026, 1, 1, 12, tzinfo=UTC)], pa.timestamp("ns", "America/Lima"))
    assert naive.to_pylist() == zoned.to_pylist() == [datetime(2026, 1, 1, 12, tzinfo=UTC)]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("a", pa.int64())])])
def test_a_nested_type_is_refused_with_its_name(kind: pa.DataType) -> None:
    with pytest.raises(InvalidInputError, match=r"column 'x' has type"):
        _canonical([None], kind)


@pytest.mark.parametrize(
    ("values", "wanted", "expected", "unfit"),
    [
        (["1", " 2.0 ", "x", None, "1.5"], dtypes.INTEGER, [1, 2, None, None, None], [2, 4]),
        (["1e3", "1_0", "nan?"], dtypes.NUMBER, [1000.0, None, None], [1, 2]),
        (["True", "0", "yes"], dtypes.BOOLEAN, [True, False, None], [2]),
        ([1.0, 2.5], dtypes.INTEGER, [1, None], [1]),
        ([0, 1, 2], dtypes.BOOLEAN, [False, True, None], [2]),
        ([True, False], dtypes.INTEGER, [1, 0], []),
        ([7], dtypes.TEXT, ["7"], []),
        ([7.5], dtypes.TEXT, [None], [0]),
        ([str(2**63)], dtypes.INTEGER, [None], [0]),
        ([7], dtypes.DATETIME, [None], [0]),
    ],
)
def test_a_cast_bends_nothing_and_names_what_does_not_fit(
    values: list[object], wanted: pa.DataType, expected: list[object], unfit: list[int]
) -> None:
    result = casts.cast(pa.chunked_array([values]), wanted)
    assert result.column.to_pylist() == expected
    assert result.column.type == wanted
    assert [one.row for one in result.unfit] == unfit
    assert result.unfit_count == len(unfit)


def test_times_with_and_without_a_zone_may_stand_in_one_column() -> None:
    column = pa.chunked_array([["2026-01-01", "2026-01-01T02:00:00+02:00", "2026-01-01 00:00:00Z"]])
    result = casts.cast(column, dtypes.DATETIME)
    assert result.column.to_pylist() == [datetime(2026, 1, 1, tzinfo=UTC)] * 3


def test_a_column_without_values_fits_every_type() -> None:
    column = pa.chunked_array([pa.nulls(3, dtypes.NUMBER)])
    assert casts.cast(column, dtypes.DATETIME).column.type == dtypes.DATETIME


def test_unfit_values_are_counted_in_full_and_shown_in_part() -> None:
    result = casts.cast(pa.chunked_array([["x"] * 50, ["1", "y"]]), dtypes.NUMBER, examples=3)
    assert (result.unfit_count, len(result.unfit)) == (51, 3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False), st.integers()), min_size=1))
def test_numbers_survive_being_written_as_text(values: list[float | None]) -> None:
    texts = pa.chunked_array([pa.array([None if v is None else repr(v) for v in values], "string")])
    numbers = casts.cast(texts, dtypes.NUMBER).column.to_pylist()
    expected = [None if v is None else _as_double(v) for v in values]
    assert numbers == expected


def _as_double(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (pa.duration("ms"), "duration.*write it as a number of seconds"),
        (pa.binary(), "binary.*write it as text"),
        (pa.list_(pa.int64()), "list"),
        (pa.struct([("a", pa.int64())]), "struct"),
        (pa.map_(pa.string(), pa.int64()), "map"),
        (pa.month_day_nano_interval(), "interval"),
    ],
)
def test_what_has_no_place_in_a_table_is_refused_by_name(kind: pa.DataType, words: str) -> None:
    with pytest.raises(InvalidInputError, match=f"column 'v' has type .*{words}"):
        casts.canonical(pa.nulls(2, kind), "v")


def test_a_time_that_microseconds_do_not_hold_is_refused_and_not_wrapped() -> None:
    column = pa.chunked_array([pa.array([10**14], pa.timestamp("s"))])
    with pytest.raises(InvalidInputError, match="'v' has a time outside of the years 1 to 9999"):
        casts.canonical(column, "v")


def test_hexadecimal_is_no_whole_number() -> None:
    found = casts.cast(pa.chunked_array([["0x1F", "7"]]), dtypes.INTEGER)
    assert (found.column.to_pylist(), found.unfit[0].value) == ([None, 7], "0x1F")
