"""Predict every row of a file, in memory that the file's size does not move, and not logged."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.features import requests
from mlkit.flows.features.online import Online
from mlkit.flows.features.requests import RequestFeatures
from mlkit.flows.registry import deploy, model_files
from mlkit.flows.registry.deploy import Loaded
from mlkit.project import Project
from mlkit.provenance import Stated
from mlkit.steps.inputs import encode, unanswered
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.predictors import threads
from mlkit.steps.reading import file_batches, parquet_rows
from mlkit.steps.reading.file_batches import Expected
from mlkit.store.disk.blobs import sync

CHUNK_ROWS = 20_000
VALUE = "prediction"


class Predicted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many rows were answered by which version, and where the answers are."""

    model: str
    version: int
    rows: int
    output: str
    warnings: tuple[str, ...] = ()


class _Writer(Protocol):
    """What pyarrow's CSV and Parquet writers have in common."""

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


def predict(
    project: Project,
    model: str,
    file: Path,
    *,
    output: Path | None = None,
    version: int | None = None,
    stated: Stated | None = None,
    progress: Callable[[int], None] | None = None,
) -> Predicted:
    """Write the columns of ``file`` and the predictions to ``output``, as CSV to stdout if None.

    The champion answers, or ``version``. A CSV file is written as ``stated`` says, and where that
    is silent as the files that the model was trained on. Columns of feature views may be missing:
    they are looked up as the server does. The output appears complete or not at all. Raises
    InvalidInputError that names the row and column that does not fit the model.
    """
    found = deploy.find_version(project, model, version)
    loaded = deploy.load_version(project, found)
    rows, warnings = 0, list[str]()
    with (
        _opened(output, file) as stream,
        threads.fit_for(CHUNK_ROWS),
        closing(Online(project)) as online,
    ):
        features = requests.of(project, online, found)
        known = loaded.schema if features is None else features.takes
        expected = _expected(project, found.id, known, file, stated or Stated())
        ids = frozenset[str]() if features is None else features.keys
        expected = replace(expected, ids=ids, warn=warnings.append)
        rows_of = file_batches.read(file, expected, CHUNK_ROWS)
        writer: _Writer | None = None
        rows_of = _told_of_infinities(rows_of, known.names, warnings)
        for table in _answered(project, loaded, features, rows_of):
            if writer is None:
                writer = _writer(output, stream, table.schema)
            writer.write_table(table)
            rows += len(table)
            if progress:
                progress(rows)
        if writer is not None:
            writer.close()
    return Predicted(
        model=model, version=loaded.version, rows=rows, output=str(output) if output else "-",
        warnings=tuple(warnings),
    )  # fmt: skip


def _told_of_infinities(
    tables: Iterator[pa.Table], names: Sequence[str], warnings: list[str]
) -> Iterator[pa.Table]:
    """Yield ``tables``, and warn once of each column with infinities, which models do not take."""
    told = set[str]()
    for table in tables:
        for name in [n for n in names if n not in told and n in table.column_names]:
            column = table.column(name)
            if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
                told.add(name)
                warnings.append(f"infinite: {name!r} has infinite values, taken as missing")
        yield table


def _answered(
    project: Project,
    loaded: Loaded,
    features: RequestFeatures | None,
    tables: Iterator[pa.Table],
) -> Iterator[pa.Table]:
    first_row, now = 1, project.now()
    for table in tables:
        if features is None:
            columns = encode.columns_of_table(
                loaded.schema,
                table,
                first_row=first_row,
                max_chars=project.settings.server.max_text_chars,
            )
        else:
            columns = features.columns_of_table(table, now, first_row=first_row)
        yield _with_answers(loaded, table, columns, first_row)
        first_row += len(table)


def _expected(
    project: Project, version_id: int, schema: InputSchema, file: Path, given: Stated
) -> Expected:
    """Return how the columns of ``file`` are to be read.

    In CSV all is text, so the model says what it stands for. Parquet has types, and a text that
    looks like a number is as wrong there as it is in JSON.
    """
    types = encode.arrow_types(schema)
    if parquet_rows.is_parquet(file):
        return Expected({name: kind for name, kind in types.items() if pa.types.is_timestamp(kind)})
    habits = model_files.of_model(project, version_id)
    stated = model_files.stated(file, given, habits, types)
    return Expected(
        types,
        stated,
        {column.name: column.categories for column in schema.columns},
        usual=habits.usual if stated.decimal is None else None,
    )


def _with_answers(
    loaded: Loaded, table: pa.Table, columns: list[list[object]], first_row: int
) -> pa.Table:
    matrix = encode.matrix(loaded.schema, columns)
    answers = unanswered.ask(loaded.predictor.predict, loaded.schema, matrix, first_row=first_row)
    added = {VALUE: pa.array(answers.values)}
    if answers.probabilities is not None:
        for place, label in enumerate(loaded.schema.classes):
            text = str(label).lower() if isinstance(label, bool) else str(label)
            added[f"probability_{text}"] = pa.array(answers.probabilities[:, place])
    taken = [name for name in added if name in table.column_names]
    if taken:
        raise ConflictError(
            f"the file has a column '{taken[0]}' already; rename it to keep both apart"
        )
    for name, values in added.items():
        table = table.append_column(name, values)
    return table


def _writer(output: Path | None, stream: BinaryIO, schema: pa.Schema) -> _Writer:
    if output is not None and output.suffix == ".parquet":
        parquet: _Writer = pq.ParquetWriter(stream, schema)
        return parquet
    csv: _Writer = pcsv.CSVWriter(stream, schema)
    return csv


@contextmanager
def _opened(output: Path | None, file: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become ``output`` when all of them are there."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if output.suffix not in (".csv", ".parquet"):
        raise InvalidInputError(f"the output {output} must end in .csv or .parquet")
    if output.exists() and output.samefile(file):
        raise InvalidInputError(f"the output {output} is the input; name another file")
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        sync(part)
        part.replace(output)
    except FileNotFoundError as error:
        raise InvalidInputError(f"there is no folder {output.parent}") from error
    finally:
        part.unlink(missing_ok=True)
