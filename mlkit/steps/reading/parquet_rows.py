"""Read Parquet files batch by batch; several files are one table if their columns agree."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlkit.errors import InvalidInputError
from mlkit.steps.reading.canonical import canonical
from mlkit.steps.reading.csv_rows import Count
from mlkit.steps.reading.errors import attempt, check_file, iterate
from mlkit.steps.reading.hive import Partitions
from mlkit.steps.tables import casts, dtypes
from mlkit.steps.tables.agreement import Agreement, agreed

BATCH_ROWS = 1 << 14
_TABLE = re.compile(r"\.(parquet|parq|pq|csv|tsv)(\.(gz|bz2|xz|zst|zip))?$", re.IGNORECASE)


def is_parquet(path: Path) -> bool:
    """Tell whether the file starts with Parquet's magic bytes, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def files(folder: Path) -> list[Path]:
    """Return the Parquet files below ``folder``, by name; raises InvalidInputError.

    They are recognised by content, not by name; another file with rows is an error.
    """
    below = [
        path
        for path in folder.rglob("*")
        if not any(map(_is_hidden, path.relative_to(folder).parts))
    ]
    for path in below:
        if path.is_dir():
            _refuse_unread(path)
    rows = [path for path in below if not path.is_dir() and _has_rows(path)]
    if not rows:
        raise InvalidInputError(f"{folder} has no file named *.parquet")
    for path in rows:
        if not path.is_file() or (path.suffix != ".parquet" and not is_parquet(path)):
            raise InvalidInputError(
                f"{path} is no Parquet file, and would be left out; take it out of the folder, or "
                "write it as Parquet"
            )
    return sorted(rows)


def _refuse_unread(folder: Path) -> None:
    """Raise InvalidInputError if a file with rows in ``folder`` would be skipped."""
    if folder.is_symlink():
        raise InvalidInputError(
            f"{folder} is a link to a folder, whose files would be left out; put the folder "
            "itself there, or take the link away"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InvalidInputError(f"{folder} cannot be read, and its files would be left out")


def _has_rows(path: Path) -> bool:
    """Tell whether a file is data, by its content or its name; a README is not."""
    return bool(_TABLE.search(path.name)) or (path.is_file() and is_parquet(path))


def _is_hidden(part: str) -> bool:
    """Tell whether a name is one of the writers' own metadata; ``_id=7`` is a column."""
    return part[0] == "." or (part[0] == "_" and "=" not in part)


def opened(path: Path) -> Any:
    """Return the Parquet file ``path``, open; raises InvalidInputError."""
    check_file(path)
    return attempt(path, lambda: pq.ParquetFile(path, pre_buffer=False))


def batches(
    paths: Sequence[Path],
    rows: int = BATCH_ROWS,
    *,
    folders: Partitions | None = None,
    types: Mapping[str, pa.DataType] | None = None,
    count: Count | None = None,
) -> Iterator[pa.Table]:
    """Yield the rows of ``paths``, at most ``rows`` at a time, all with the same columns and types.

    ``folders`` are the partition columns, ``types`` the wanted types; ``count`` is called with the
    bytes read so far. Raises InvalidInputError if two files do not agree.
    """
    folders = folders or Partitions()
    found = _types(paths, types or {})
    names = list(found)
    folders.refuse_twins(names, paths[0])
    behind = 0
    for path in paths:
        with opened(path) as file:
            start = 0
            done, total = 0, max(1, file.metadata.num_rows)
            size = path.stat().st_size
            for batch in iterate(path, file.iter_batches(rows, use_threads=False)):
                table = canonical(
                    pa.Table.from_batches([batch]), path, first_row=start, empty=True
                ).select(names)
                start += table.num_rows
                yield folders.added(agreed(table, found), path)
                done += batch.num_rows
                if count is not None:
                    count(behind + size * done // total)
            behind += size


def _types(paths: Sequence[Path], wanted: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Return the resulting type of each column from its types in the files.

    Integers beyond 64 bits become text, to keep their digits, unless numbers are wanted.
    """
    agreement, large = Agreement(), set[str]()
    for path in paths:
        with opened(path) as file:
            kinds = _types_of(path, file)
            large |= {name for name in _wide(file) if _is_large(path, file, name)}
        _same_names(agreement.names or list(kinds), list(kinds), paths[0], path)
        agreement.add(kinds, str(path))
    digits = {
        name: dtypes.NUMBER if wanted.get(name) == dtypes.NUMBER else dtypes.TEXT for name in large
    }
    return {**agreement.types, **digits}


def _types_of(path: Path, file: Any) -> dict[str, pa.DataType | None]:
    """Return the type of each column, None for one without values."""
    schema = file.schema_arrow
    empty = canonical(attempt(path, schema.empty_table), path, empty=True)
    return {
        name: None if pa.types.is_null(field.type) else empty.column(name).type
        for field, name in zip(schema, empty.column_names, strict=True)
    }


def _wide(file: Any) -> list[str]:
    """Return the columns whose values decide whether they fit into integers."""
    return [field.name for field in file.schema_arrow if casts.may_be_large(field.type)]


def _is_large(path: Path, file: Any, name: str) -> bool:
    """Tell whether a column has a value beyond a signed 64-bit integer."""
    found = iterate(path, file.iter_batches(columns=[name], use_threads=False))
    return any(casts.canonical(batch.column(0), name).type == dtypes.TEXT for batch in found)


def _same_names(known: list[str], names: list[str], first: Path, path: Path) -> None:
    differ = sorted(set(known) ^ set(names))
    if differ:
        listed = ", ".join(repr(name) for name in differ[:5])
        raise InvalidInputError(
            f"{first} and {path} do not have the same columns: only one of them has {listed}"
        )
