"""The interface of tables that are read column by column, from memory or disk.

Checks, profiles and comparisons use only this, so that they need the memory of one column whatever
the size of the table, or of a part of one with ``Column``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import pyarrow as pa

Mask = np.ndarray  # an array of booleans, one per row


class Tabular(Protocol):
    """Rows in the five types of ``casts``; a ``pyarrow.Table`` is one."""

    @property
    def column_names(self) -> list[str]:
        """The names, in the order of the columns."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of one column."""

    def select(self, names: list[str]) -> pa.Table:
        """Return the named columns, in that order, in memory."""


class Piecewise(Tabular, Protocol):
    """Rows on disk, which can be iterated without loading all of them."""

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """Yield the rows, ``rows`` at a time."""

    def parts(self, name: str) -> Iterator[pa.ChunkedArray]:
        """Yield the values of one column, in parts of the same sizes for all columns."""


@dataclass(frozen=True)
class Column:
    """One column of a table, which can be iterated part by part, repeatedly.

    In memory there is one part, on disk one per some thousand rows.

    >>> [len(part) for part in Column(pa.table({"a": [1, 2, 3]}), "a")]
    [3]
    """

    table: Tabular
    name: str

    def __iter__(self) -> Iterator[pa.ChunkedArray]:
        """Yield the values; at least one part, which may be empty."""
        parts = getattr(self.table, "parts", None)
        if parts is None:
            yield self.table.column(self.name)
        else:
            yield from parts(self.name)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.table.num_rows

    @property
    def type(self) -> pa.DataType:
        """The type of the values."""
        return next(iter(self)).type


def pieces(table: Tabular, rows: int) -> Iterator[pa.Table]:
    """Yield the rows of ``table``, ``rows`` at a time; one empty piece for an empty table.

    >>> [piece.num_rows for piece in pieces(pa.table({"a": [1, 2, 3]}), 2)]
    [2, 1]
    """
    if not isinstance(table, pa.Table):
        yield from cast("Piecewise", table).pieces(rows)
        return
    for start in range(0, table.num_rows or 1, rows):
        yield table.slice(start, rows)


def regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of ``tables``, ``rows`` at a time; the last piece may be smaller, or empty.

    >>> [piece.num_rows for piece in regrouped([pa.table({"a": [1, 2]})] * 2, 3)]
    [3, 1]
    """
    held: list[pa.Table] = []
    count = given = 0
    for each in tables:
        table = each
        while count + table.num_rows >= rows:
            held.append(table.slice(0, rows - count))
            table, count = table.slice(rows - count), 0
            given += 1
            yield _emptied(held)
        held.append(table)
        count += table.num_rows
    if count or not given:
        yield pa.concat_tables(held)


def _emptied(held: list[pa.Table]) -> pa.Table:
    """Concatenate and clear ``held``, so that its tables can be freed after use."""
    whole = pa.concat_tables(held)
    held.clear()
    return whole
