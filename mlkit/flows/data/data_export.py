"""Write the rows of a dataset version to a file for other programs, in bounded memory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow.parquet as pq

from mlkit.errors import DamagedError, InvalidInputError
from mlkit.flows.data import ingest
from mlkit.project import Project
from mlkit.steps.reading import csv_text
from mlkit.store import datasets
from mlkit.store.disk.blobs import file_digest, sync

_ROWS = 1 << 16


class Exported(msgspec.Struct, frozen=True):
    """What was written, and where; ``-`` is the standard output."""

    dataset: str
    version: int
    rows: int
    file: str


def export(project: Project, reference: str, file: Path | None = None) -> Exported:
    """Write the rows of a version to ``file`` (.csv or .parquet), as CSV to stdout if None.

    The file is written atomically. Raises ConflictError if the rows were collected.
    """
    name, number = ingest.parse_reference(reference)
    if file is not None and file.suffix.lower() not in (".csv", ".parquet"):
        raise InvalidInputError(f"the output {file} must end in .csv or .parquet")
    with project.read() as s:
        version = datasets.get_version(s, name, number)
    ingest.refuse_collected(version)
    source = project.data.path(version.sha256)
    if not source.is_file() or file_digest(source) != version.sha256:
        raise DamagedError(
            f"{source} is missing or changed; restore a backup (see: mlkit backup restore), or "
            f"make it again: mlkit data rebuild {version.reference}"
        )
    with _opened(file) as stream, pq.ParquetFile(source) as rows:
        _copy(rows, stream, parquet=file is not None and file.suffix.lower() == ".parquet")
    return Exported(name, version.number, version.rows, "-" if file is None else str(file))


def _copy(rows: pq.ParquetFile, stream: BinaryIO, *, parquet: bool) -> None:
    batches = rows.iter_batches(_ROWS, use_threads=False)
    if not parquet:
        stream.write(csv_text.header(rows.schema_arrow.names))
        for batch in batches:
            stream.write(csv_text.lines(batch))
        return
    with pq.ParquetWriter(stream, rows.schema_arrow, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


@contextmanager
def _opened(file: Path | None) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become ``file`` when the block ends without an error."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        sync(part)
        part.replace(file)
        sync(file.parent)
    except FileNotFoundError as error:
        raise InvalidInputError(f"there is no folder {file.parent}") from error
    finally:
        part.unlink(missing_ok=True)
