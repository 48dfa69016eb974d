"""Read the rows of a file in known types: for predictions, or for actuals.

The memory does not depend on the size of the file.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.provenance import Stated
from mlkit.steps.reading import csv_bytes, csv_dialect, csv_rows, csv_values, parquet_rows
from mlkit.steps.reading.canonical import canonical
from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.reading.csv_ids import Digits, Led
from mlkit.steps.reading.errors import check_file
from mlkit.steps.reading.parquet_rows import is_parquet
from mlkit.steps.tables import casts, dtypes

_NUMERIC = (dtypes.INTEGER, dtypes.NUMBER)


def _say_nothing(_warning: str) -> None:
    """Ignore a warning."""


@dataclass(frozen=True)
class Expected:
    """The expected columns of a file; columns without an entry in ``types`` are not converted.

    ``stated`` are the options of a CSV file. A cell equal to one of the ``labels`` of its column is
    that label, even if it is a missing-value marker. ``usual`` is the decimal mark of earlier
    files, None if that of this file is certain; texts of the columns ``numbers`` may be numbers. In
    the columns ``ids`` 007 is not 7; ``warn`` is called once per column for other numbers that look
    like ids.
    """

    types: Mapping[str, pa.DataType]
    stated: Stated | None = None
    labels: Mapping[str, Collection[str]] = field(default_factory=dict)
    usual: str | None = None
    numbers: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    warn: Callable[[str], None] = _say_nothing


def read(path: Path, expected: Expected, rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a file, at most ``rows`` at a time.

    Raises InvalidInputError with the row and value that is not of its type.
    """
    check_file(path)
    start = 0
    for block in _blocks(path, expected, rows):
        for offset in range(0, block.num_rows, rows):
            yield _typed(block.slice(offset, rows), expected.types, path, start + offset)
        start += block.num_rows
    if start == 0:
        raise InvalidInputError(f"{path} has a header but no rows")


def _blocks(path: Path, expected: Expected, rows: int) -> Iterator[pa.Table]:
    if is_parquet(path):
        yield from parquet_rows.batches([path], rows, types=expected.types)
        return
    dialect = csv_dialect.sniff(path, expected.stated, known=expected.types)
    csv_dialect.check_names(dialect.names, path)
    start = 0
    digits = {name: Digits() for name in dialect.names if expected.types.get(name) in _NUMERIC}
    with csv_bytes.as_utf8(path, dialect.encoding, dialect.compression) as utf8:
        for texts in csv_rows.batches(path, dialect, block=csv_rows.BATCH_BLOCK_BYTES, utf8=utf8):
            reader = _Block(path, expected, dialect, start, digits)
            names = texts.column_names
            columns = {name: reader.values(name, texts.column(name)) for name in names}
            yield canonical(pa.table(columns), path, first_row=start, empty=True)
            start += texts.num_rows


@dataclass(frozen=True)
class _Block:
    """A block of a CSV file with ``first_row`` rows before it.

    ``digits`` collect the number formats of all blocks so far, by column.
    """

    path: Path
    expected: Expected
    dialect: Dialect
    first_row: int
    digits: Mapping[str, Digits]

    def values(self, name: str, texts: Any) -> Any:
        """Return the values of a column, or its texts if not all are of the type."""
        kind = self.expected.types.get(name, dtypes.TEXT)
        if kind in _NUMERIC or name in self.expected.numbers:
            self._refuse_grouped(name, texts)
        if kind == dtypes.TEXT:
            known = self.expected.labels.get(name, ())
            marks = tuple(mark for mark in self.dialect.missing if mark not in known)
            return csv_values.without(texts, marks)
        found = None if self._is_led(name, texts) else csv_values.convert(texts, kind, self.dialect)
        if found is not None:
            return found.column
        texts = csv_values.unmarked(texts, self.dialect)
        return self._with_points(name, texts) if kind in _NUMERIC else texts

    def _is_led(self, name: str, texts: Any) -> bool:
        """Tell whether a number in the column has a leading zero; raises InvalidInputError."""
        digits = self.digits.get(name)
        if digits is None:
            return False
        told = digits.led is not None
        digits.add(texts, whole=True)
        if digits.led is not None and not told:
            self._tell(name, digits.led)
        return digits.led is not None

    def _tell(self, name: str, led: Led) -> None:
        if name in self.expected.ids:
            raise InvalidInputError(
                f"{self.path}, row {led.row}, column {name!r}: {led.value!r} is written as ids "
                "are, and those of the model are whole numbers; write it as the number that it is"
            )
        self.expected.warn(
            f"leading_zero: {name!r} has {led.value!r} in row {led.row}, which the model takes as "
            "a number; if it is an id, give it the dtype string in the rules and train again"
        )

    def _with_points(self, name: str, texts: Any) -> Any:
        """Return numbers with a decimal point; raises InvalidInputError for invalid ones."""
        if self.dialect.plain:
            return texts
        found = csv_values.as_written_here(texts, dtypes.NUMBER, self.dialect)
        if found is not None:
            return found
        row = csv_values.first_foreign(texts, self.dialect)
        marks = f"decimal {self.dialect.decimal_point!r}"
        if self.dialect.thousands:
            marks += f", thousands {self.dialect.thousands!r}"
        raise InvalidInputError(
            f"{self.path}, row {self.first_row + row + 1}, column {name!r}: "
            f"{texts[row].as_py()!r} is not a number as this file is read ({marks}); say how it is "
            "written with --decimal and --thousands"
        )

    def _refuse_grouped(self, name: str, texts: Any) -> None:
        """Raise InvalidInputError for 26.950 if earlier files had decimal commas."""
        if not self.dialect.plain or self.expected.usual != ",":
            return
        if csv_values.looks_grouped(texts):
            first = next(value for value in texts.to_pylist() if value and "." in value)
            raise InvalidInputError(
                f"{self.path}: column {name!r} has {first!r}, which is a number with a decimal "
                "point or one with grouped digits: the files of this dataset have decimal commas; "
                "say --decimal . or --decimal , --thousands ."
            )


def _typed(
    table: pa.Table, types: Mapping[str, pa.DataType], path: Path, first_row: int
) -> pa.Table:
    columns = dict(zip(table.column_names, table.columns, strict=True))
    for name in [name for name in columns if name in types]:
        result = casts.cast(columns[name], types[name])
        if result.unfit:
            row, value = result.unfit[0]
            others = result.unfit_count - 1
            more = f" (and {others:,} more nearby)" if others else ""
            raise InvalidInputError(
                f"{path}, row {first_row + row + 1}, column {name!r}: {value!r} is not "
                f"{dtypes.ONE[types[name]]}{more}"
            )
        columns[name] = result.column
    return pa.table(columns)
