"""Convert the rows of a query, chunks of Python values, to a table.

A chunk shows only the types of its own values, so all chunks are kept until the last one.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps.reading import csv_dialect
from mlkit.steps.reading.canonical import canonical
from mlkit.steps.tables import dtypes, stored_table
from mlkit.steps.tables.agreement import Agreement, agreed
from mlkit.steps.tables.long_integers import LongIntegers
from mlkit.steps.tables.tabular import Tabular

_PLAIN = (bool, int, float, str, datetime, date, time)


def load(
    names: list[str], chunks: Iterable[Sequence[Sequence[Any]]], scratch: Path, label: str
) -> Tabular:
    """Return the rows in ``chunks`` as a table with the columns ``names``.

    Large results are stored in the folder ``scratch``. Raises InvalidInputError with ``label``,
    column and row of an unsupported value.
    """
    csv_dialect.check_names(names, Path(label))
    held = scratch / "chunks.arrow"
    agreement, integers = Agreement(), LongIntegers(label)
    try:
        with pa.OSFile(str(held), "wb") as sink:
            rows = 0
            for chunk in chunks:
                table, kinds = _table(names, chunk, rows, label, integers)
                agreement.add(kinds, f"row {rows + 1:,} and after")
                with pa.ipc.new_stream(sink, table.schema) as stream:
                    stream.write_table(table)
                rows += len(chunk)
        if not rows:
            raise InvalidInputError(f"{label} gives no rows")
        return stored_table.keep(_read(held, agreement), scratch / "rows.parquet", label)
    finally:
        held.unlink(missing_ok=True)


def _read(held: Path, agreement: Agreement) -> Iterator[pa.Table]:
    types = agreement.types
    with pa.OSFile(str(held)) as source:
        size = source.size()
        while source.tell() < size:
            yield agreed(pa.ipc.open_stream(source).read_all(), types)


def _table(
    names: list[str],
    rows: Sequence[Sequence[Any]],
    first_row: int,
    label: str,
    integers: LongIntegers,
) -> tuple[pa.Table, dict[str, pa.DataType | None]]:
    """Return a chunk as a table, and the types of its columns that have a value."""
    columns = {}
    for place, name in enumerate(names):
        values = [_plain(row[place]) for row in rows]
        integers.refuse(name, values, first_row)
        columns[name] = _array(name, values, first_row, label)
    kinds = {name: None if pa.types.is_null(c.type) else c.type for name, c in columns.items()}
    table = canonical(pa.table(columns), Path(label), first_row=first_row)
    return table, {name: None if kinds[name] is None else table.column(name).type for name in names}


def _plain(value: Any) -> Any:
    """Convert a database value for Arrow, a time with a zone to UTC.

    Once pandera is loaded, pyarrow 26 takes the wall clock of any other zone for UTC.
    """
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, time) and value.tzinfo is not None:
        return value.isoformat()  # Arrow would ignore the zone
    return str(value) if isinstance(value, UUID) else value


def _number(value: Decimal) -> int | float:
    """Return a decimal without fraction digits as an integer, so that ids keep their digits."""
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _array(name: str, values: list[Any], first_row: int, label: str) -> Any:
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, _PLAIN):
            raise InvalidInputError(
                f"{label}: column {name!r} has a {type(value).__name__} in row "
                f"{first_row + row + 1}; cast it to a number, text or time in the query"
            )
    try:
        return pa.array(values)
    except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        if all(value is None or isinstance(value, int | float) for value in values):
            return pa.array([None if v is None else float(v) for v in values], dtypes.NUMBER)
        kinds = sorted({type(value).__name__ for value in values} - {"NoneType"})
        raise InvalidInputError(
            f"{label}: column {name!r} has {' and '.join(kinds)} in the rows from "
            f"{first_row + 1:,}; cast it to one type in the query"
        ) from error
