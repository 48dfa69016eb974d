"""Warnings about how the cells of a CSV file were read, each starting with its name."""

import re
from collections import Counter
from collections.abc import Iterator

from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.reading.csv_types import ColumnType, TableTypes
from mlkit.steps.tables import dtypes

_SHOWN = 3
_OTHER = {
    dtypes.INTEGER: "whole numbers (Int64)",
    dtypes.NUMBER: "numbers (float64)",
    dtypes.DATETIME: "times (datetime)",
    dtypes.BOOLEAN: "truth values (boolean)",
}
_NOT_A_NUMBER = re.compile(r"(?i)nan$|#(ind|qnan)$")  # formats of numbers only


def of(types: TableTypes, dialect: Dialect) -> tuple[str, ...]:
    """Return the warnings about a file that was read with ``types``."""
    found = [line for name, column in types.columns.items() for line in _of_column(name, column)]
    if dialect.repeated_name is not None:
        found.append(
            f"header_in_rows: the name {dialect.repeated_name!r} is also a value of its column; if "
            "the file has no header, add it again with --no-header"
        )
    return tuple(found)


def _of_column(name: str, column: ColumnType) -> Iterator[str]:
    marks = Counter({m: n for m, n in column.marks.items() if not _NOT_A_NUMBER.search(m)})
    if marks:
        yield (
            f"missing_mark: {name!r} has {_counted(marks)}, taken as missing, for all its "
            "other values are of one type that is not text"
        )
    if column.kept:
        yield (
            f"mark_in_text: {name!r} has {_counted(column.kept)}, kept as text; if that means "
            f"missing, add the file with --missing {next(iter(column.kept))!r}"
        )
    if column.dots:
        yield (
            f"grouped_digits: {name!r} is read with decimal points, and each has three digits "
            "after it; if they are thousands, add the file with --decimal , --thousands ."
        )
    yield from _of_digits(name, column)
    if column.unquoted is not None and column.unquoted.kind in _OTHER:
        yield (
            f"quoted_as_text: {name!r} is text, for its values are quoted and other columns are "
            f"not; if it holds {_OTHER[column.unquoted.kind]}, give it that dtype in the rules "
            "and add the file again"
        )


def _of_digits(name: str, column: ColumnType) -> Iterator[str]:
    led = column.digits.of_id
    if led is None or column.wanted == dtypes.TEXT:
        return
    if column.wanted in (dtypes.INTEGER, dtypes.NUMBER):
        if column.digits.led is not None:
            yield (
                f"leading_zero: {name!r} has {led.value!r} in row {led.row}, which the rules make "
                "a number; if it is an id, give it the dtype string in the rules and add the file "
                "again"
            )
    elif column.wanted is None:
        yield (
            f"digits_as_text: {name!r} is text, for {led.value!r} in row {led.row} is written as "
            "ids are; if these are numbers, write them without that"
        )


def _counted(marks: Counter[str]) -> str:
    shown = ", ".join(f"{count:,} cells {mark!r}" for mark, count in marks.most_common(_SHOWN))
    more = len(marks) - _SHOWN
    return f"{shown} and {more} more marks" if more > 0 else shown
