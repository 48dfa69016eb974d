"""A table in a Parquet file, with only a column or a few rows in memory at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlkit.errors import InvalidInputError
from mlkit.steps.tables.tabular import Tabular, regrouped

IN_MEMORY_BYTES = 16 << 20  # a smaller table stays in memory
_GROUP_BYTES = 8 << 20
_BATCH_ROWS = 1 << 14


class StoredTable:
    """The rows of the Parquet file ``path``, with column names ``names``."""

    def __init__(self, path: Path, names: list[str] | None = None) -> None:
        self._file = pq.ParquetFile(path, pre_buffer=False)
        self._stored = self._file.schema_arrow.names
        self.column_names = self._stored if names is None else names
        self._places = {name: place for place, name in enumerate(self.column_names)}

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self._file.metadata.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of one column."""
        return self.select([name]).column(0)

    def parts(self, name: str) -> Iterator[pa.ChunkedArray]:
        """Yield the values of one column, a row group at a time."""
        return (group.column(0) for group in self._groups([name]))

    def select(self, names: list[str]) -> pa.Table:
        """Return the named columns, in that order, in memory."""
        return pa.concat_tables(self._groups(names)).rename_columns(names)

    def _groups(self, names: list[str]) -> Iterator[pa.Table]:
        """Yield the columns by row group: a growing buffer of a whole one needs twice the memory.

        The column names are dropped.
        """
        wanted = [self._stored[self._places[name]] for name in names]
        for number in range(self._file.num_row_groups):
            group = self._file.read_row_group(number, columns=wanted, use_threads=False)
            yield group.select(wanted)
        if not self._file.num_row_groups:
            yield self._file.schema_arrow.empty_table().select(wanted)

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """Yield the rows, ``rows`` at a time."""
        batches = self._file.iter_batches(_BATCH_ROWS, use_threads=False)
        tables = (pa.Table.from_batches([batch]) for batch in batches)
        return regrouped((table.rename_columns(self.column_names) for table in tables), rows)


def keep(batches: Iterable[pa.Table], scratch: Path, label: object) -> Tabular:
    """Collect the rows of ``batches``: in memory if they are few, else in the file ``scratch``.

    Raises InvalidInputError with ``label`` if there are none.
    """
    held: list[pa.Table] = []
    size = 0
    rest = iter(batches)
    for table in rest:
        held.append(table)
        size += table.nbytes
        if size > IN_MEMORY_BYTES:
            return _stored(held, rest, scratch)
    if not sum(table.num_rows for table in held):
        raise InvalidInputError(f"{label} has a header but no rows")
    whole: Tabular = pa.concat_tables(held)
    return whole


def _stored(held: list[pa.Table], rest: Iterator[pa.Table], scratch: Path) -> Tabular:
    """Write the tables of ``held``, emptying it, and ``rest``; columns are named by position."""
    names = held[0].column_names
    places = [str(place) for place in range(len(names))]
    schema = held[0].rename_columns(places).schema
    with pq.ParquetWriter(
        scratch,
        schema,
        compression="lz4",
        use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
        store_schema=False,
    ) as writer:
        while held:
            table = pa.concat_tables(held).rename_columns(places)
            held.clear()
            writer.write_table(table)
            del table
            size = 0
            for table in rest:
                held.append(table)
                size += table.nbytes
                if size >= _GROUP_BYTES:
                    break
    return StoredTable(scratch, names)
