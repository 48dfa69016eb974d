"""A table that is looked at column by column, wherever its values are: in memory or on disk.

What checks, profiles and compares rows asks for no more than this, so that it costs the memory of
one column whatever the table weighs, or, where it goes through a ``Column``, of a part of one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import pyarrow as pa

Mask = np.ndarray  # of truths, one for each row


class Tabular(Protocol):
    """Rows in the five types of ``casts``; a ``pyarrow.Table`` is one."""

    @property
    def column_names(self) -> list[str]:
        """The names, in the order of the columns."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of one column."""

    def select(self, names: list[str]) -> pa.Table:
        """Return the named columns, in that order, in memory."""


class Piecewise(Tabular, Protocol):
    """Rows on disk, which can be gone through without all of them in memory."""

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """Yield the rows, ``rows`` at a time."""

    def parts(self, name: str) -> Iterator[pa.ChunkedArray]:
        """Yield the values of one column, as many at a time as for every other column."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its values part by part, as often as they are asked for.

    In memory all of them are one part, on disk some thousand rows are.

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
    """Yield the rows of ``table``, ``rows`` at a time; of an empty table one empty piece.

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
    """Return the rows of all tables; nothing else holds them while others work on the result."""
    whole = pa.concat_tables(held)
    held.clear()
    return whole
