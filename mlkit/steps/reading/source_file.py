"""Load a file of any size as a table, with bounded memory.

CSV types are inferred from the first block; only if a later block does not fit, they are inferred
from the whole file, which is then read again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mlkit.provenance import Csv, Parquet
from mlkit.steps.reading import csv_bytes, csv_dialect, csv_rows, csv_warnings, hive, parquet_rows
from mlkit.steps.reading.canonical import canonical
from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.reading.csv_types import TableTypes
from mlkit.steps.reading.errors import LongRowError, OtherTypeError, check_file
from mlkit.steps.reading.options import Reading
from mlkit.steps.reading.parquet_rows import is_parquet
from mlkit.steps.tables import stored_table
from mlkit.steps.tables.tabular import Tabular


@dataclass(frozen=True)
class Loaded:
    """The rows of a file, and how it was read. Parquet files are typed, CSV files are not."""

    table: Tabular
    read_as: Csv | Parquet
    warnings: tuple[str, ...] = ()


def load(path: Path, how: Reading) -> Loaded:
    """Return the rows of a CSV file, a Parquet file or a folder of Parquet files.

    Raises InvalidInputError with the position of the fault.
    """
    if path.is_dir():
        return _from_parquet(parquet_rows.files(path), path, how)
    check_file(path)
    if is_parquet(path):
        return _from_parquet([path], path, how)
    dialect = csv_dialect.sniff(path, how.stated, known=how.types)
    csv_dialect.check_names(dialect.names, path)
    checked = how.counter("checking the encoding", path.stat().st_size)
    with csv_bytes.as_utf8(
        path, dialect.encoding, dialect.compression, folder=how.scratch, count=checked
    ) as utf8:
        table, types = _Csv(path, utf8, dialect, how).load()
        return Loaded(table, _described(dialect), csv_warnings.of(types, dialect))


def _from_parquet(paths: list[Path], path: Path, how: Reading) -> Loaded:
    count = how.counter("reading", sum(file.stat().st_size for file in paths))
    folders = hive.partitions(path, paths, how.types) if path.is_dir() else None
    batches = parquet_rows.batches(paths, folders=folders, types=how.types, count=count)
    table = stored_table.keep(batches, how.scratch / "rows.parquet", path)
    return Loaded(table, Parquet())


def _described(dialect: Dialect) -> Csv:
    return Csv(
        delimiter=dialect.delimiter,
        encoding=dialect.encoding,
        decimal=dialect.decimal_point,
        thousands=dialect.thousands,
        compression=dialect.compression,
        missing=dialect.missing,
        header=dialect.has_header,
    )


@dataclass(frozen=True)
class _Csv:
    """A CSV file at ``path``; ``utf8`` has its rows in UTF-8."""

    path: Path
    utf8: Path
    dialect: Dialect
    how: Reading

    def load(self) -> tuple[Tabular, TableTypes]:
        """Return the rows and their types; blocks grow if a row does not fit into one."""
        try:
            return self._typed(csv_rows.BATCH_BLOCK_BYTES)
        except LongRowError:
            return self._typed(csv_rows.BLOCK_BYTES)

    def _typed(self, block: int) -> tuple[Tabular, TableTypes]:
        types = self._types()
        try:
            return self._keep(types.found(self._batches(block, "reading"))), types
        except OtherTypeError:
            types = self._types()  # a later block does not fit: infer from the whole file
        types.survey(self._batches(block, "looking for the types"))
        return self._keep(types.typed(self._batches(block, "reading"))), types

    def _types(self) -> TableTypes:
        return TableTypes(self.dialect, self.how.types, self.dialect.quoted)

    def _keep(self, batches: Iterator[pa.Table]) -> Tabular:
        rows = _canonical(batches, self.path)
        return stored_table.keep(rows, self.how.scratch / "rows.parquet", self.path)

    def _batches(self, block: int, what: str) -> Iterator[pa.Table]:
        count = self.how.counter(what, self.utf8.stat().st_size)
        return csv_rows.batches(self.path, self.dialect, block=block, utf8=self.utf8, count=count)


def _canonical(batches: Iterator[pa.Table], path: Path) -> Iterator[pa.Table]:
    start = 0
    for batch in batches:
        yield canonical(batch, path, first_row=start, empty=True)
        start += batch.num_rows
