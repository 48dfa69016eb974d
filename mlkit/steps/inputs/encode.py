"""Encode raw columns as the matrix of the estimators, in training, gate and serving alike.

A column is a plain list, not a data frame's, so that one row takes microseconds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs.columns import ARROW_TYPES, Column, InputSchema, Kind
from mlkit.steps.inputs.values import READERS, UnfitValueError, refuse_long, too_long
from mlkit.steps.tables import casts, dtypes

MAX_PROBLEMS: Final = 100
_MOMENT_PARTS: Final = ("days", "hour", "weekday", "month")
_MICROS_PER_DAY: Final = 86_400_000_000
_TEXT_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


def columns_of_rows(
    schema: InputSchema,
    rows: Sequence[Mapping[str, object]],
    *,
    optional: Collection[str] = (),
    max_chars: int | None = None,
) -> list[list[object]]:
    """Return validated JSON values, column by column, in the order of ``schema``.

    Unknown columns are ignored; columns of ``optional`` may be left out of a row and are ``UNSET``
    then. Raises InvalidInputError whose ``details["problems"]`` names every ``{"row", "column",
    "problem"}``, rows counted from 0.
    """
    problems: list[dict[str, object]] = []
    columns: list[list[object]] = []
    for column in schema.columns:
        read = _reader(column, max_chars)
        lacks = column.name in optional
        columns.append(_read_values(column, rows, problems, read=read, may_lack=lacks))
        if len(problems) >= MAX_PROBLEMS:
            break
    refuse(problems)
    return columns


def columns_of_table(
    schema: InputSchema, table: pa.Table, *, first_row: int = 0, max_chars: int | None = None
) -> list[list[object]]:
    """Return the values of an Arrow table like ``columns_of_rows``; NaN and infinity are missing.

    ``max_chars`` limits the text of new rows; rows accepted earlier have no limit.
    """
    problems: list[dict[str, object]] = []
    columns: list[list[object]] = []
    present = set(table.column_names)
    for column in schema.columns:
        if column.name not in present:
            problems.append({"row": first_row, "column": column.name, "problem": "missing"})
            continue
        try:
            values = convert(table.column(column.name), column.kind)
        except pa.ArrowInvalid as error:
            problems += _unfit(column, table.column(column.name), str(error), first_row)
            continue
        if values.null_count and not column.nullable:
            empty = pc.indices_nonzero(pc.is_null(values)).to_pylist()[:MAX_PROBLEMS]
            problems += [
                {"row": first_row + row, "column": column.name, "problem": "null"} for row in empty
            ]
        if column.kind == "category" and max_chars is not None:
            problems += _overlong(column, values, max_chars, first_row)
        columns.append(values.to_pylist())
    refuse(problems)
    return columns


def _overlong(
    column: Column, values: pa.ChunkedArray, max_chars: int, first_row: int
) -> list[dict[str, object]]:
    if (pc.max(pc.binary_length(values)).as_py() or 0) <= max_chars:  # bytes >= characters
        return []
    lengths = pc.fill_null(pc.utf8_length(values), 0)
    rows = pc.indices_nonzero(pc.greater(lengths, max_chars)).to_pylist()[:MAX_PROBLEMS]
    return [
        {
            "row": first_row + row,
            "column": column.name,
            "problem": too_long(lengths[row].as_py(), max_chars),
        }
        for row in rows
    ]


def _unfit(
    column: Column, values: pa.ChunkedArray, reason: str, first_row: int
) -> list[dict[str, object]]:
    """Return the problems: values that are no integers, else the wrong type of the column."""
    if column.kind == "integer" and pa.types.is_floating(values.type):
        fractional = pc.fill_null(pc.not_equal(values, pc.floor(values)), fill_value=False)
        rows = pc.indices_nonzero(fractional).to_pylist()[:MAX_PROBLEMS]
        if rows:
            return [
                {
                    "row": first_row + row,
                    "column": column.name,
                    "problem": f"{values[row].as_py()} is not a whole number",
                }
                for row in rows
            ]
    problem = f"{values.type} where {column.kind} is expected: {reason}"
    return [{"row": first_row, "column": column.name, "problem": problem}]


def matrix(schema: InputSchema, columns: Sequence[Sequence[object]]) -> np.ndarray:
    """Return float64 of shape (rows, width): NaN for null, 0/1, category codes, time parts."""
    rows = len(columns[0]) if columns else 0
    width = sum(_width(column) for column in schema.columns)
    result = np.empty((rows, width))
    place = 0
    for column, values in zip(schema.columns, columns, strict=True):
        if column.kind == "category":
            codes = _codes(column.categories)
            result[:, place] = [codes.get(value, np.nan) for value in values]
        elif column.kind == "datetime":
            result[:, place : place + len(_MOMENT_PARTS)] = _moment_parts(values)
        else:
            result[:, place] = np.array(values, dtype=float)  # None becomes NaN
        place += _width(column)
    return result


def matrix_of_table(schema: InputSchema, table: pa.Table) -> np.ndarray:
    """Return the matrix of an Arrow table."""
    return matrix(schema, columns_of_table(schema, table))


def names(schema: InputSchema) -> tuple[str, ...]:
    """Return the name of each matrix column."""
    found: list[str] = []
    for column in schema.columns:
        if column.kind == "datetime":
            found += [f"{column.name}:{part}" for part in _MOMENT_PARTS]
        else:
            found.append(column.name)
    return tuple(found)


def lasting(schema: InputSchema, *, passing: Collection[str]) -> list[int]:
    """Return the indexes of the matrix columns without the time parts ``passing``.

    Calendar time always increases, so the day number differs between any two windows.
    """
    times = {column.name for column in schema.columns if column.kind == "datetime"}
    left_out = {f"{time}:{part}" for time in times for part in passing}
    return [index for index, name in enumerate(names(schema)) if name not in left_out]


def categorical(schema: InputSchema) -> list[int]:
    """Return the indexes of the matrix columns that hold category codes."""
    coded = {column.name for column in schema.columns if column.categories}
    return [index for index, name in enumerate(names(schema)) if name in coded]


def arrow_types(schema: InputSchema) -> dict[str, pa.DataType]:
    """Return the Arrow type of each input column, for reading a file with this schema."""
    return {column.name: ARROW_TYPES[column.kind] for column in schema.columns}


def _width(column: Column) -> int:
    return len(_MOMENT_PARTS) if column.kind == "datetime" else 1


def convert(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """Return ``values`` in the canonical form of ``kind``; raises ArrowInvalid if it has none."""
    if kind == "number" and not _is_numeric(values.type):
        raise pa.ArrowInvalid("not a number")
    if kind == "integer" and not _is_numeric(values.type):
        raise pa.ArrowInvalid("not a whole number")
    if pa.types.is_floating(values.type):
        missing = pa.scalar(None, values.type)
        values = pc.if_else(pc.is_finite(values), values, missing)
    if kind == "datetime":
        if pa.types.is_string(values.type):
            values = _moments(values)
        if not (pa.types.is_timestamp(values.type) or pa.types.is_null(values.type)):
            raise pa.ArrowInvalid("not a time")
        naive = values.cast(ARROW_TYPES[kind]).cast(pa.timestamp("us"))
        return pc.strftime(naive, format=_TEXT_FORMAT)
    if kind in ("category", "boolean") and values.type != ARROW_TYPES[kind]:
        return _cast_alike(values, kind)
    return values.cast(ARROW_TYPES[kind])


def _moments(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse the ISO texts of JSON as times; raises ArrowInvalid."""
    result = casts.cast(values, dtypes.DATETIME, examples=1)
    if result.unfit:
        raise pa.ArrowInvalid(f"{result.unfit[0].value!r} is not a time")
    return result.column


def _cast_alike(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    found = values.type
    if pa.types.is_null(found) or (kind == "category" and pa.types.is_large_string(found)):
        return values.cast(ARROW_TYPES[kind])
    raise pa.ArrowInvalid("not a text" if kind == "category" else "not true or false")


def _is_numeric(found: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    return any(is_kind(found) for is_kind in kinds)


def _reader(column: Column, max_chars: int | None) -> Callable[[object], object]:
    read = READERS[column.kind]
    if column.kind != "category" or max_chars is None:
        return read

    def within(value: object) -> object:
        refuse_long(value, max_chars)
        return read(value)

    return within


def _read_values(
    column: Column,
    rows: Sequence[Mapping[str, object]],
    problems: list[dict[str, object]],
    *,
    read: Callable[[object], object],
    may_lack: bool,
) -> list[object]:
    name = column.name
    values: list[object] = []
    for index, row in enumerate(rows):
        value = row.get(name)
        try:
            if value is not None:
                values.append(read(value))
            elif column.nullable and name in row:
                values.append(None)
            elif may_lack and name not in row:
                values.append(UNSET)
            else:
                raise UnfitValueError("null" if name in row else "missing")
        except UnfitValueError as error:
            problems.append({"row": index, "column": name, "problem": str(error)})
            if len(problems) >= MAX_PROBLEMS:
                break  # limits the problems: 30 kB of empty rows can lack ten million values
    return values


def refuse(problems: Sequence[Mapping[str, object]]) -> None:
    """Raise InvalidInputError if there are problems: the first in its text, all in its details."""
    if not problems:
        return
    shown = problems[:MAX_PROBLEMS]
    first = shown[0]
    raise InvalidInputError(
        f"the rows do not fit the model: row {first['row']}, column '{first['column']}': "
        f"{first['problem']}" + (f" (and {len(shown) - 1} more)" if len(shown) > 1 else ""),
        {"problems": shown},
    )


@lru_cache(maxsize=1024)
def _codes(categories: tuple[str, ...]) -> dict[object, float]:
    return {value: float(code) for code, value in enumerate(categories)}


def _moment_parts(values: Sequence[object]) -> np.ndarray:
    """Return days since 1970, hour of the day, weekday (Monday 0) and month (1 to 12) in UTC."""
    texts = ["NaT" if value is None else str(value)[:-1] for value in values]
    moments = np.array(texts, dtype="datetime64[us]")
    micros = moments.astype(np.int64).astype(float)
    micros[np.isnat(moments)] = np.nan
    days = micros / _MICROS_PER_DAY
    month = moments.astype("datetime64[M]").astype(np.int64) % 12 + 1.0
    month[np.isnat(moments)] = np.nan
    return np.column_stack(
        [days, micros % _MICROS_PER_DAY / 3_600_000_000, (np.floor(days) + 3) % 7, month]
    )
