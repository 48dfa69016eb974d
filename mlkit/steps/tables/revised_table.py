"""A table whose columns are transformed lazily, when they are read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from mlkit.steps.tables.tabular import Column, Tabular, pieces

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class RevisedTable:
    """The rows of ``table`` with ``column_names`` in that order, changed value by value."""

    table: Tabular
    column_names: list[str]
    changes: Mapping[str, Change] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self.table.num_rows

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of one column, changed."""
        return self._changed(name, self.table.column(name))

    def select(self, names: list[str]) -> pa.Table:
        """Return the named columns, changed, in memory."""
        return pa.table({name: self.column(name) for name in names})

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """Yield the rows, ``rows`` at a time."""
        return map(self._revised, pieces(self.table, rows))  # without any rows

    def parts(self, name: str) -> Iterator[pa.ChunkedArray]:
        """Yield the values of one column, changed."""
        return (self._changed(name, part) for part in Column(self.table, name))

    def _revised(self, piece: pa.Table) -> pa.Table:
        names = self.column_names
        return pa.table({name: self._changed(name, piece.column(name)) for name in names})

    def _changed(self, name: str, values: Any) -> Any:
        change = self.changes.get(name)
        return values if change is None else change(values)


def revise(table: Tabular, changes: Mapping[str, Change]) -> Tabular:
    """Return ``table`` with ``changes`` made to the columns that they name."""
    return RevisedTable(table, table.column_names, changes) if changes else table
