"""Read CSV and Parquet files as a canonical table, and write it.

Values are checked in ``checks``.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlkit.provenance import Stated
from mlkit.steps.reading import csv_bytes, csv_dialect, csv_rows, parquet_rows
from mlkit.steps.reading.canonical import canonical
from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.reading.csv_types import TableTypes
from mlkit.steps.reading.errors import attempt, check_file
from mlkit.steps.reading.parquet_rows import is_parquet
from mlkit.steps.tables.tabular import Tabular, pieces

GROUP_ROWS = 1 << 17


def read_table(
    path: Path,
    types: Mapping[str, pa.DataType] | None = None,
    stated: Stated | None = None,
) -> pa.Table:
    """Return the rows of a CSV or Parquet file in the five types of ``casts``.

    A CSV column that is text in ``types`` is read as text even if it looks like numbers; all other
    types are inferred. Raises InvalidInputError with the position of the fault.
    """
    check_file(path)
    if is_parquet(path):
        with parquet_rows.opened(path) as file:
            return canonical(attempt(path, file.read), path)
    dialect = csv_dialect.sniff(path, stated, known=types or ())
    csv_dialect.check_names(dialect.names, path)
    with csv_bytes.as_utf8(path, dialect.encoding, dialect.compression) as utf8:
        texts = list(csv_rows.batches(path, dialect, block=csv_rows.BLOCK_BYTES, utf8=utf8))
    found = TableTypes(dialect, types or {}, dialect.quoted)
    found.survey(texts)
    return canonical(pa.concat_tables(found.typed(texts or [_nothing(dialect)])), path)


def column_types(table: pa.Table) -> dict[str, pa.DataType]:
    """Return the type of each column by name."""
    return dict(zip(table.column_names, table.schema.types, strict=True))


def write_parquet(table: Tabular, path: Path) -> None:
    """Write the canonical Parquet file: the same rows give the same bytes."""
    writer = None
    try:
        for piece in pieces(table, GROUP_ROWS):
            schema = piece.schema.remove_metadata()
            columns = piece.columns
            del piece  # one copy in memory, none during the next read
            for place, column in enumerate(columns):
                columns[place] = column.combine_chunks()
            plain = pa.Table.from_arrays(columns, schema=schema)
            del columns, column
            writer = writer or _writer(path, plain.schema)
            writer.write_table(plain, row_group_size=GROUP_ROWS)
            del plain
    finally:
        if writer is not None:
            writer.close()


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        data_page_version="1.0",
        store_schema=False,  # Arrow's schema metadata differs between its versions
    )


def read_parquet(content: bytes) -> pa.Table:
    """Return the table that ``write_parquet`` wrote.

    Single-threaded: an Arrow thread that drops the last reference to ``content`` during the
    shutdown of Python would abort the process (exit 134 after the work was done).
    """
    return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)


def _nothing(dialect: Dialect) -> pa.Table:
    """Return an empty table of text columns."""
    return pa.table({name: pa.array([], pa.string()) for name in dialect.names})
