"""The rows of a CSV file as texts, block by block.

The dialect is in ``csv_dialect``, the column types in ``csv_types``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv

from mlkit.errors import InvalidInputError
from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.reading.errors import LongRowError, attempt, iterate

BLOCK_BYTES = 8 << 20  # also the maximum length of a row
BATCH_BLOCK_BYTES = 1 << 20  # Arrow reads up to 32 blocks ahead
_SHOWN = 5

Count = Callable[[int], None]


class Ragged:
    """Collects the rows of a CSV file that have too many or too few values."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def __call__(self, row: Any) -> str:
        """Record a row and skip it."""
        self.count += 1
        if self.count <= _SHOWN:
            self.first.append(f"row {row.number - 1} has {row.actual_columns}")
        return "skip"

    def refuse(self, path: Path, width: int) -> None:
        """Raise InvalidInputError with the rows, if there are any."""
        if self.count:
            more = f" (and {self.count - _SHOWN} more)" if self.count > _SHOWN else ""
            raise InvalidInputError(
                f"{path} has {width} columns but {', '.join(self.first)}{more}; "
                "quote values that hold the delimiter"
            )


def batches(
    path: Path,
    dialect: Dialect,
    *,
    block: int,
    utf8: Path | None = None,
    count: Count | None = None,
) -> Iterator[pa.Table]:
    """Yield the rows block by block, all as texts; an empty cell that is not quoted is null.

    ``utf8`` is the file of ``as_utf8`` for ``path``; ``count`` is called with its bytes read so
    far. Raises LongRowError for a row longer than ``block``.
    """
    ragged, rows = Ragged(), 0
    stream, raw = _stream(utf8 or path, path, dialect)
    options = _options(dialect, ragged, block=block)
    reader = attempt(path, lambda: pcsv.open_csv(stream, **options))
    try:
        for batch in iterate(path, reader):
            ragged.refuse(path, len(dialect.header))
            if count is not None:
                count(raw.tell())
            rows += batch.num_rows
            yield pa.Table.from_batches([batch]).rename_columns(dialect.names)
    except LongRowError as error:
        where = f"a row after row {rows:,} is longer than {block:,} bytes"
        raise LongRowError(
            f"cannot read {path}: {where}, the block of the reader; is a quote left open?"
        ) from error
    ragged.refuse(path, len(dialect.header))


def _options(dialect: Dialect, ragged: Ragged, *, block: int) -> dict[str, Any]:
    names = None if dialect.has_header else list(dialect.header)
    return {
        # one thread: else ragged rows have no number
        "read_options": pcsv.ReadOptions(use_threads=False, block_size=block, column_names=names),
        "parse_options": pcsv.ParseOptions(
            delimiter=dialect.delimiter,
            newlines_in_values=True,
            invalid_row_handler=ragged,
            ignore_empty_lines=len(dialect.header) > 1,  # else an empty line is a missing value
        ),
        "convert_options": pcsv.ConvertOptions(
            check_utf8=False,  # already checked by ``as_utf8``
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            column_types=dict.fromkeys(dialect.header, pa.string()),
        ),
    }


def _stream(file: Path, path: Path, dialect: Dialect) -> tuple[Any, Any]:
    """Return the decompressed stream of ``file``, and the file itself for its position.

    It is not closed explicitly: Arrow reads ahead in threads that may outlive its reader and would
    continue in the next file with the same descriptor. The last reference closes it.
    """
    raw = pa.OSFile(str(file))
    if dialect.compression is None or file != path:
        return raw, raw
    return pa.CompressedInputStream(raw, dialect.compression), raw
