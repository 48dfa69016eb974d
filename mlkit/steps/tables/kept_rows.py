"""A view of some rows of a table, without a copy."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from mlkit.steps.tables.tabular import Column, Mask, Tabular, pieces, regrouped


@dataclass(frozen=True)
class KeptRows:
    """The rows of ``table`` where ``kept`` (of shape (rows,)) is true."""

    table: Tabular
    kept: Mask

    @property
    def column_names(self) -> list[str]:
        """The names, in the order of the columns."""
        return self.table.column_names

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.kept.sum())

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of one column."""
        parts = list(self.parts(name))
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)

    def select(self, names: list[str]) -> pa.Table:
        """Return the named columns, in that order, in memory."""
        return pa.table({name: self.column(name) for name in names})

    def parts(self, name: str) -> Iterator[pa.ChunkedArray]:
        """Yield the values of one column."""
        start = 0
        for part in Column(self.table, name):
            end = start + len(part)
            yield part.filter(pa.array(self.kept[start:end]))
            start = end

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """Yield the rows, ``rows`` at a time; one empty piece if none is kept."""
        return regrouped(self._parts(rows), rows)

    def _parts(self, rows: int) -> Iterator[pa.Table]:
        start = 0
        for piece in pieces(self.table, rows):
            end = start + piece.num_rows
            yield piece.filter(pa.array(self.kept[start:end]))
            start = end
