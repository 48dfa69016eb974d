"""Cast the types of files to the five types of ``dtypes``, and between these five.

A time without a zone is taken as UTC.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mlkit import epoch
from mlkit.errors import InvalidInputError
from mlkit.steps.tables.dtypes import BOOLEAN, DATETIME, INTEGER, NUMBER, TEXT

_HEX = r"^\s*[+-]?0[xX]"
_FIRST_TIME = epoch.to_us(datetime.min.replace(tzinfo=UTC))
_LAST_TIME = epoch.to_us(datetime.max.replace(tzinfo=UTC))

_INSTEAD = {pa.duration("s").id: "a number of seconds", pa.binary().id: "text"}


class Unfit(NamedTuple):
    """A value that is not of the wanted type; ``row`` counts from 0."""

    row: int
    value: object


@dataclass(frozen=True)
class Cast:
    """A column of the wanted type, null where a value is unfit, and the first of these."""

    column: Any
    unfit: tuple[Unfit, ...] = ()
    unfit_count: int = 0


def canonical(column: Any, name: str) -> Any:
    """Return ``column`` as one of the five types; raises InvalidInputError for a nested one.

    NaN becomes null, so that there is one way to be missing; infinities stay.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return canonical(pc.cast(column, kind.value_type), name)
    if pa.types.is_null(kind):
        return column.cast(NUMBER)
    if pa.types.is_integer(kind):
        return _integer(column)
    if may_be_large(kind):
        return _whole(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _without_nan(column.cast(NUMBER, safe=False))
    if pa.types.is_boolean(kind):
        return column
    if _is_text(kind) or pa.types.is_time(kind):
        return column.cast(TEXT)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _utc(column, name)
    raise InvalidInputError(
        f"column '{name}' has type {kind}; mlkit takes numbers, text, booleans and times: write it "
        f"as {_INSTEAD.get(kind.id, 'one of these')}, or leave it out"
    )


def may_be_large(kind: pa.DataType) -> bool:
    """Tell whether a type has integers beyond a signed 64-bit integer."""
    return bool(kind == pa.uint64() or (pa.types.is_decimal(kind) and kind.scale == 0))


def keeps(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Tell whether values of one type are valid as the other without reinterpretation.

    Integers are numbers, and a time may be ISO text; the text '1.5' is no number, 1 is not true.
    """
    return bool(
        found == wanted
        or (found in (INTEGER, NUMBER) and wanted in (INTEGER, NUMBER))
        or (found == TEXT and wanted == DATETIME)
    )


def cast(column: Any, wanted: pa.DataType, *, examples: int = 5) -> Cast:
    """Cast ``column`` (one of the five types) to ``wanted``; return the unfit values too.

    Casts are lossless: 1.0 is an integer, 1.5 is not; 0 and 1 are booleans, 2 is not.
    """
    if column.type == wanted:
        return Cast(column)
    if column.null_count == len(column):
        return Cast(pa.chunked_array([pa.nulls(len(column), wanted)]))
    try:
        return Cast(_at_once(column, wanted))
    except pa.ArrowInvalid:
        return _by_distinct_value(column, wanted, examples)


def _at_once(column: Any, wanted: pa.DataType) -> Any:
    """Convert by Arrow's own casts if they have our semantics; raises ArrowInvalid otherwise."""
    if column.type == INTEGER and wanted == NUMBER:
        return column.cast(NUMBER, safe=False)
    if column.type == TEXT and wanted in (INTEGER, NUMBER):
        if pc.any(pc.match_substring_regex(column, _HEX)).as_py():
            raise pa.ArrowInvalid("Arrow would read 0x1F as 31")
        return _without_nan(column.cast(wanted)) if wanted == NUMBER else column.cast(wanted)
    if column.type == TEXT and wanted == DATETIME:
        try:
            return _in_calendar(_utc(column.cast(pa.timestamp("us"))))
        except pa.ArrowInvalid:
            return _in_calendar(column.cast(DATETIME))
    raise pa.ArrowInvalid("no direct way")


def _by_distinct_value(column: Any, wanted: pa.DataType, examples: int) -> Cast:
    """Convert each distinct value once, in Python, and find those that do not fit."""
    convert = _CONVERTERS[wanted]
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    values = encoded.dictionary.to_pylist()
    converted = [_attempt(convert, value) for value in values]
    wrong = [value is None for value in converted]
    codes = encoded.indices
    result = pa.array(converted, wanted).take(codes)
    unfit: list[Unfit] = []
    count = 0
    if any(wrong):
        rows = pc.indices_nonzero(pc.fill_null(pa.array(wrong).take(codes), fill_value=False))
        count = len(rows)
        unfit = [Unfit(row, values[codes[row].as_py()]) for row in rows[:examples].to_pylist()]
    return Cast(pa.chunked_array([result]), tuple(unfit), count)


def _attempt(convert: Callable[[Any], object], value: object) -> object:
    try:
        return convert(value)
    except (ValueError, OverflowError):
        return None


def _to_integer(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return _in_range(int(value))
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str):
        try:
            return _in_range(int(_digits(value)))
        except ValueError:
            return _to_integer(float(_digits(value)))
    raise ValueError(value)


def _in_range(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise OverflowError(value)
    return value


def _to_number(value: object) -> float:
    number = float(_digits(value)) if isinstance(value, str) else _real(value)
    if math.isnan(number):
        raise ValueError(value)
    return number


def _real(value: object) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    raise ValueError(value)


def _digits(text: str) -> str:
    """Return ``text`` unless only Python accepts it as a number (``1_000``)."""
    if "_" in text:
        raise ValueError(text)
    return text


def _to_boolean(value: object) -> bool:
    known = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
    text = str(value).strip().lower()
    if isinstance(value, datetime) or text not in known:
        raise ValueError(value)
    return known[text]


def _to_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(value)
    return str(value)


def _to_time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError(value)  # all converters raise the same error
    return epoch.parse(value.strip())


_CONVERTERS: dict[pa.DataType, Callable[[Any], object]] = {
    INTEGER: _to_integer,
    NUMBER: _to_number,
    BOOLEAN: _to_boolean,
    TEXT: _to_text,
    DATETIME: _to_time,
}


def _integer(column: Any) -> Any:
    """Return int64; unsigned values from 2**63 on make the column text, with all digits."""
    return _whole(column) if may_be_large(column.type) else column.cast(INTEGER)


def _whole(column: Any) -> Any:
    try:
        return column.cast(INTEGER)
    except pa.ArrowInvalid:
        return column.cast(TEXT)


def _without_nan(column: Any) -> Any:
    if not pc.any(pc.is_nan(column)).as_py():
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, NUMBER), column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _in_calendar(column: Any) -> Any:
    """Return ``column``; raises ArrowInvalid for a year outside of 1 to 9999."""
    if outside_calendar(column) is not None:
        raise pa.ArrowInvalid("a time outside of the calendar")
    return column


def outside_calendar(column: Any) -> int | None:
    """Return the first row, from 0, with a time outside of the years 1 to 9999, or None."""
    moments = column.cast(INTEGER)
    edges = pc.min_max(moments)
    low, high = edges["min"].as_py(), edges["max"].as_py()
    if low is None or (low >= _FIRST_TIME and high <= _LAST_TIME):
        return None
    outside = pc.or_(pc.less(moments, _FIRST_TIME), pc.greater(moments, _LAST_TIME))
    row: int = pc.indices_nonzero(pc.fill_null(outside, fill_value=False))[0].as_py()
    return row


def _utc(column: Any, name: str = "times") -> Any:
    """Return times in UTC with microseconds; raises InvalidInputError."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s" if pa.types.is_date32(column.type) else "ms"))
    exact = column.type.unit != "ns"  # a coarser unit has a larger range
    try:
        if column.type.tz is not None:
            return column.cast(DATETIME, safe=exact)
        return pc.assume_timezone(column.cast(pa.timestamp("us"), safe=exact), "UTC")
    except pa.ArrowInvalid as error:
        raise InvalidInputError(
            f"column '{name}' has a time outside of the years 1 to 9999; leave it empty if it is "
            "unknown"
        ) from error
