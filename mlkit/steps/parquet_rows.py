"""The rows of Parquet files, a batch at a time; several files are one table if they agree."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlkit.errors import InvalidInputError
from mlkit.steps import casts
from mlkit.steps.agreement import Agreement, agreed
from mlkit.steps.canonical import canonical
from mlkit.steps.csv_rows import Count
from mlkit.steps.reading import attempt, check_file, iterate

BATCH_ROWS = 1 << 14
_LARGE = pa.uint64()  # the one type whose values decide what it becomes


def is_parquet(path: Path) -> bool:
    """Tell whether the file begins as Parquet does, whatever its name says."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def files(folder: Path) -> list[Path]:
    """Return the Parquet files in ``folder`` and below it, by name; raises InvalidInputError."""
    found = sorted(
        file
        for file in folder.rglob("*.parquet")
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(folder).parts)
    )
    if not found:
        raise InvalidInputError(f"{folder} has no file named *.parquet")
    return found


def opened(path: Path) -> Any:
    """Return the Parquet file ``path``, open; raises InvalidInputError."""
    check_file(path)
    return attempt(path, lambda: pq.ParquetFile(path, pre_buffer=False))


def batches(
    paths: Sequence[Path], rows: int = BATCH_ROWS, *, count: Count | None = None
) -> Iterator[pa.Table]:
    """Yield the rows of ``paths``, at most ``rows`` at a time, all with the same columns and types.

    ``count`` hears how many bytes of the files are behind. Raises InvalidInputError where two
    files do not agree.
    """
    types = _types(paths)
    names = list(types)
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
                yield agreed(table, types)
                done += batch.num_rows
                if count is not None:
                    count(behind + size * done // total)
            behind += size


def _types(paths: Sequence[Path]) -> dict[str, pa.DataType]:
    """Return what each column becomes, from what the files say of it."""
    agreement = Agreement()
    for path in paths:
        with opened(path) as file:
            kinds = _types_of(path, file)
        _same_names(agreement.names or list(kinds), list(kinds), paths[0], path)
        agreement.add(kinds, str(path))
    return agreement.types


def _types_of(path: Path, file: Any) -> dict[str, pa.DataType | None]:
    """Return the type of each column, None of one that has no values to tell it."""
    schema = file.schema_arrow
    empty = canonical(attempt(path, schema.empty_table), path, empty=True)
    kinds: dict[str, pa.DataType | None] = {}
    for field, name in zip(schema, empty.column_names, strict=True):
        kind = empty.column(name).type
        if pa.types.is_null(field.type):
            kind = None
        if field.type == _LARGE and _is_large(path, file, field.name):
            kind = casts.NUMBER
        kinds[name] = kind
    return kinds


def _is_large(path: Path, file: Any, name: str) -> bool:
    """Tell whether an unsigned column has a value that a signed integer cannot hold."""
    found = iterate(path, file.iter_batches(columns=[name], use_threads=False))
    return any(casts.canonical(batch.column(0), name).type == casts.NUMBER for batch in found)


def _same_names(known: list[str], names: list[str], first: Path, path: Path) -> None:
    differ = sorted(set(known) ^ set(names))
    if differ:
        listed = ", ".join(repr(name) for name in differ[:5])
        raise InvalidInputError(
            f"{first} and {path} do not have the same columns: only one of them has {listed}"
        )
