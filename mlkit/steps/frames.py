"""Reading CSV and Parquet files into one canonical table, whole or in bounded memory.

What the values mean, and whether they are right, is decided in ``checks``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from mlkit.errors import InvalidInputError
from mlkit.steps import casts, csv_dialect
from mlkit.steps.csv_dialect import Dialect

T = TypeVar("T")

BLOCK_BYTES = 8 << 20  # also the longest row
BATCH_BLOCK_BYTES = 1 << 20  # Arrow reads up to 32 blocks ahead
_SHOWN = 5


def read_table(path: Path, types: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Return the rows of a CSV or Parquet file in the five types of ``casts``.

    A CSV column that ``types`` says is text is read as text even if it looks like numbers; all
    other types come from the values. Raises InvalidInputError that says where the file is wrong.
    """
    _check_file(path)
    if is_parquet(path):
        with _parquet(path) as file:
            return _canonical(_reading(path, file.read), path)
    dialect = csv_dialect.sniff(path)
    csv_dialect.check_names(dialect.names, path)
    texts = {
        raw: casts.TEXT for raw in dialect.header if (types or {}).get(raw.strip()) == casts.TEXT
    }
    ragged = _Ragged()
    with _stream(path, dialect) as stream:
        options = _options(dialect, ragged, texts, block=BLOCK_BYTES)
        table = _reading(path, lambda: pcsv.read_csv(stream, **options))
    ragged.refuse(path, len(dialect.header))
    return _canonical(table.rename_columns(dialect.names), path)


def open_batches(
    path: Path, types: Mapping[str, pa.DataType] | None, rows: int
) -> Iterator[pa.Table]:
    """Yield the rows of a file, at most ``rows`` at a time, in memory that its size does not move.

    A column named in ``types`` has that type or InvalidInputError names the row and the value; in
    a CSV file every other column stays text. Without ``types`` the first block decides.
    """
    _check_file(path)
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


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write the canonical Parquet file: the same rows give the same bytes."""
    plain = table.replace_schema_metadata(None).combine_chunks()
    pq.write_table(
        plain,
        path,
        version="2.6",
        compression="zstd",
        compression_level=3,
        row_group_size=1 << 17,
        data_page_version="1.0",
        store_schema=False,  # Arrow's own copy of the schema may differ between its versions
    )


def read_parquet(content: bytes) -> pa.Table:
    """Return the table that ``write_parquet`` wrote.

    On this thread alone: a thread of Arrow's that drops the last reference to ``content`` while
    Python shuts down would abort the process (exit 134 after the work was done).
    """
    return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)


def is_parquet(path: Path) -> bool:
    """Tell whether the file begins as Parquet does, whatever its name says."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


class _Ragged:
    """Collects the rows of a CSV file that have too many or too few values."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def __call__(self, row: Any) -> str:
        self.count += 1
        if self.count <= _SHOWN:
            self.first.append(f"row {row.number - 1} has {row.actual_columns}")
        return "skip"

    def refuse(self, path: Path, width: int) -> None:
        if self.count:
            more = f" (and {self.count - _SHOWN} more)" if self.count > _SHOWN else ""
            raise InvalidInputError(
                f"{path} has {width} columns but {', '.join(self.first)}{more}; "
                "quote values that hold the delimiter"
            )


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InvalidInputError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise InvalidInputError(f"{path} is empty")


def _blocks(path: Path, types: Mapping[str, pa.DataType] | None, rows: int) -> Iterator[pa.Table]:
    if is_parquet(path):
        with _parquet(path) as file:
            batches = _iterate(path, file.iter_batches(batch_size=rows))
            for batch in batches:
                yield _canonical(pa.Table.from_batches([batch]), path, empty=True)
        return
    dialect = csv_dialect.sniff(path)
    csv_dialect.check_names(dialect.names, path)
    texts = {} if types is None else dict.fromkeys(dialect.header, casts.TEXT)
    ragged = _Ragged()
    with _stream(path, dialect) as stream:
        options = _options(dialect, ragged, texts, block=BATCH_BLOCK_BYTES)
        reader = _reading(path, lambda: pcsv.open_csv(stream, **options))
        for batch in _iterate(path, reader):
            ragged.refuse(path, len(dialect.header))
            table = pa.Table.from_batches([batch]).rename_columns(dialect.names)
            yield _with_decimal_points(_canonical(table, path, empty=True), types or {}, dialect)
    ragged.refuse(path, len(dialect.header))


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
            raise InvalidInputError(
                f"{path}, row {first_row + row + 1}, column {name!r}: {value!r} is not "
                f"{casts.NAMES[types[name]]} ({result.misfit_count} such values nearby)"
            )
        columns[name] = result.column
    return pa.table(columns)


def _canonical(table: pa.Table, path: Path, *, empty: bool = False) -> pa.Table:
    csv_dialect.check_names(table.column_names, path)
    if not table.num_rows and not empty:
        raise InvalidInputError(f"{path} has a header but no rows")
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns[name] = casts.canonical(column, name)
        _check_column(path, name, columns[name])
    return pa.table(columns)


def _check_column(path: Path, name: str, column: Any) -> None:
    if not name.isprintable():
        raise InvalidInputError(f"{path}: column name {name!r} has control characters; rename it")
    if column.type != casts.TEXT:
        return
    zeros = pc.indices_nonzero(pc.fill_null(pc.match_substring(column, "\x00"), fill_value=False))
    if len(zeros):
        raise InvalidInputError(
            f"{path}: column {name!r} has a NUL character in row {zeros[0].as_py() + 1}; "
            "no database takes it as text, take it out"
        )


def _options(
    dialect: Dialect, ragged: _Ragged, column_types: Mapping[str, pa.DataType], *, block: int
) -> dict[str, Any]:
    return {
        # one thread: only then a ragged row knows its number
        "read_options": pcsv.ReadOptions(use_threads=False, block_size=block),
        "parse_options": pcsv.ParseOptions(
            delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=ragged
        ),
        "convert_options": pcsv.ConvertOptions(
            strings_can_be_null=True,
            decimal_point=dialect.decimal_point,
            column_types=dict(column_types),
        ),
    }


@contextmanager
def _stream(path: Path, dialect: Dialect) -> Iterator[Any]:
    with csv_dialect.as_utf8(path, dialect) as file:
        compression = dialect.compression if file == path else None
        with pa.input_stream(str(file), compression=compression) as stream:
            yield stream


def _parquet(path: Path) -> pq.ParquetFile:
    return _reading(path, lambda: pq.ParquetFile(path))


def _iterate(path: Path, batches: Iterable[Any]) -> Iterator[Any]:
    iterator = iter(batches)
    while (batch := _reading(path, lambda: next(iterator, None))) is not None:
        yield batch


def _reading(path: Path, action: Callable[[], T]) -> T:
    """Run ``action``; what Arrow says about the file becomes an error that an operator can mend."""
    try:
        return action()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:  # a bad file
        text = " ".join(str(error).split())
        if "Empty CSV" in text:
            raise InvalidInputError(f"{path} has a header but no rows") from error
        if "straddl" in text:
            text = "a row is longer than a block of the reader; is a quote left open?"
        raise InvalidInputError(f"cannot read {path}: {text[:300]}") from error
