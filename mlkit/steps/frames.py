"""Reading CSV and Parquet files into one canonical table, whole or in bounded memory.

What the values mean, and whether they are right, is decided in ``checks``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlkit.errors import InvalidInputError
from mlkit.steps import casts, csv_bytes, csv_dialect, csv_rows, parquet_rows
from mlkit.steps.canonical import canonical
from mlkit.steps.csv_dialect import Dialect
from mlkit.steps.parquet_rows import is_parquet
from mlkit.steps.reading import attempt, check_file
from mlkit.steps.tabular import Tabular, pieces

GROUP_ROWS = 1 << 17


def read_table(path: Path, types: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Return the rows of a CSV or Parquet file in the five types of ``casts``.

    A CSV column that ``types`` says is text is read as text even if it looks like numbers; all
    other types come from the values. Raises InvalidInputError that says where the file is wrong.
    """
    check_file(path)
    if is_parquet(path):
        with parquet_rows.opened(path) as file:
            return canonical(attempt(path, file.read), path)
    dialect = csv_dialect.sniff(path)
    csv_dialect.check_names(dialect.names, path)
    texts = {
        raw: casts.TEXT for raw in dialect.header if (types or {}).get(raw.strip()) == casts.TEXT
    }
    return canonical(csv_rows.read(path, dialect, texts), path)


def open_batches(
    path: Path, types: Mapping[str, pa.DataType] | None, rows: int
) -> Iterator[pa.Table]:
    """Yield the rows of a file, at most ``rows`` at a time, in memory that its size does not move.

    A column named in ``types`` has that type or InvalidInputError names the row and the value; in
    a CSV file every other column stays text. Without ``types`` the first block decides.
    """
    check_file(path)
    start = 0
    for block in _blocks(path, types, rows):
        for offset in range(0, block.num_rows, rows):
            piece = block.slice(offset, rows)
            yield _typed(piece, types or {}, path, first_row=start + offset)
        start += block.num_rows
    if start == 0:
        raise InvalidInputError(f"{path} has a header but no rows")


def column_types(table: pa.Table) -> dict[str, pa.DataType]:
    """Return the type of each column by name."""
    return dict(zip(table.column_names, table.schema.types, strict=True))


def write_parquet(table: Tabular, path: Path) -> None:
    """Write the canonical Parquet file: the same rows give the same bytes, wherever they were."""
    writer = None
    try:
        for piece in pieces(table, GROUP_ROWS):
            schema = piece.schema.remove_metadata()
            columns = piece.columns
            del piece  # so that one copy is in memory, and none while the next rows are read
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
        store_schema=False,  # Arrow's own copy of the schema may differ between its versions
    )


def read_parquet(content: bytes) -> pa.Table:
    """Return the table that ``write_parquet`` wrote.

    On this thread alone: a thread of Arrow's that drops the last reference to ``content`` while
    Python shuts down would abort the process (exit 134 after the work was done).
    """
    return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)


def _blocks(path: Path, types: Mapping[str, pa.DataType] | None, rows: int) -> Iterator[pa.Table]:
    if is_parquet(path):
        yield from parquet_rows.batches([path], rows)
        return
    dialect = csv_dialect.sniff(path)
    csv_dialect.check_names(dialect.names, path)
    texts = {} if types is None else dict.fromkeys(dialect.header, casts.TEXT)
    start = 0
    with csv_bytes.as_utf8(path, dialect.encoding, dialect.compression) as utf8:
        for table in csv_rows.batches(
            path, dialect, texts, block=csv_rows.BATCH_BLOCK_BYTES, utf8=utf8
        ):
            typed = canonical(table, path, first_row=start, empty=True)
            start += table.num_rows
            yield _with_decimal_points(typed, types or {}, dialect)


def _with_decimal_points(
    table: pa.Table, types: Mapping[str, pa.DataType], dialect: Dialect
) -> pa.Table:
    """Return the columns that are numbers by ``types`` but still text with a decimal point."""
    if dialect.decimal_point == ".":
        return table
    columns = dict(zip(table.column_names, table.columns, strict=True))
    for name in [name for name in columns if types.get(name) == casts.NUMBER]:
        columns[name] = pc.replace_substring(columns[name], dialect.decimal_point, ".")
    return pa.table(columns)


def _typed(
    table: pa.Table, types: Mapping[str, pa.DataType], path: Path, *, first_row: int
) -> pa.Table:
    columns = dict(zip(table.column_names, table.columns, strict=True))
    for name in [name for name in columns if name in types]:
        result = casts.cast(columns[name], types[name])
        if result.misfits:
            row, value = result.misfits[0]
            others = result.misfit_count - 1
            more = f" (and {others:,} more nearby)" if others else ""
            raise InvalidInputError(
                f"{path}, row {first_row + row + 1}, column {name!r}: {value!r} is not "
                f"{casts.ONE[types[name]]}{more}"
            )
        columns[name] = result.column
    return pa.table(columns)
