"""Convert tables to the five types of ``casts``; refuse values that databases do not take."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.steps.reading import csv_dialect
from mlkit.steps.tables import casts, dtypes


def canonical(table: pa.Table, path: Path, *, first_row: int = 0, empty: bool = False) -> pa.Table:
    """Return ``table`` in the five types; raises InvalidInputError with column and row.

    ``first_row`` is the number of rows of the file before these; an empty table is an error unless
    ``empty``.
    """
    csv_dialect.check_names(table.column_names, path)
    if not table.num_rows and not empty:
        raise InvalidInputError(f"{path} has a header but no rows")
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns[name] = casts.canonical(column, name)
        _check_column(path, name, columns[name], first_row)
    return pa.table(columns)


def _check_column(path: Path, name: str, column: Any, first_row: int) -> None:
    if not name.isprintable():
        raise InvalidInputError(f"{path}: column name {name!r} has control characters; rename it")
    if column.type == dtypes.TEXT:
        _refuse_nul(path, name, column, first_row)
    if column.type == dtypes.DATETIME:
        _refuse_far_times(path, name, column, first_row)


def _refuse_nul(path: Path, name: str, column: Any, first_row: int) -> None:
    zeros = pc.indices_nonzero(pc.fill_null(pc.match_substring(column, "\x00"), fill_value=False))
    if len(zeros):
        raise InvalidInputError(
            f"{path}: column {name!r} has a NUL character in row {first_row + zeros[0].as_py() + 1}"
            "; no database takes it as text, take it out"
        )


def _refuse_far_times(path: Path, name: str, column: Any, first_row: int) -> None:
    """Refuse times outside of the calendar of Python and databases: year 0, year 10000."""
    row = casts.outside_calendar(column)
    if row is None:
        return
    raise InvalidInputError(
        f"{path}: column {name!r} has a time outside of the years 1 to 9999 in row "
        f"{first_row + row + 1}; leave it empty if it is unknown"
    )
