"""CSV options of a file for a model, by default those of the model's training dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from mlkit.errors import InvalidInputError
from mlkit.flows.data import file_source, ingest
from mlkit.project import Project, Session
from mlkit.provenance import Csv, File, Stated
from mlkit.steps.inputs.rows import CsvHabits
from mlkit.steps.reading import csv_dialect, csv_header, parquet_rows
from mlkit.steps.reading.errors import check_file
from mlkit.store import datasets
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import ModelVersion

_MOST_PARENTS = 20


@dataclass(frozen=True)
class Habits:
    """The usual CSV options and the column names of the files of a dataset.

    ``usual`` is the decimal mark of the last file, stated or detected.
    """

    said: Stated
    usual: str | None
    columns: tuple[str, ...]
    target: str | None


def of_model(project: Project, version_id: int) -> Habits:
    """Return the usual options of the files that a model version was trained on."""
    with project.read() as s:
        version = s.get_one(ModelVersion, version_id).dataset_version
        name, made = _source_file(s, version)
        columns = tuple(column["name"] for column in version.profile["columns"])
        target = version.dataset.target
    said = file_source.habits(project, name, made)
    found = made.read_as.decimal if made and isinstance(made.read_as, Csv) else None
    usual = said.decimal or found
    return Habits(said, usual, columns, target)


def csv_of_model(project: Project, version_id: int) -> CsvHabits:
    """Return the options of CSV rows for a model version that do not come from a file."""
    with project.read() as s:
        name, made = _source_file(s, s.get_one(ModelVersion, version_id).dataset_version)
    said = file_source.habits(project, name, made)
    return CsvHabits(frozenset(said.missing or ()), said.thousands)


def stated(file: Path, given: Stated, habits: Habits, known: Mapping[str, Any]) -> Stated:
    """Return the options for ``file``: those given, else those of the dataset's files.

    The columns ``known`` are required. Raises InvalidInputError.
    """
    own = csv_dialect.checked(given)
    check_file(file)
    if parquet_rows.is_parquet(file):
        return own
    said = given.over(habits.said)
    if given.encoding is None and said.encoding is not None:
        csv_dialect.refuse_utf8(file, said.encoding)
    if given.delimiter is None and _sniffed_has(file, said, known):
        said = structs.replace(said, delimiter=None)  # other programs may write these
    whole = csv_dialect.checked(said)
    if whole.header is False and own.header is None:
        return structs.replace(whole, names=_names(file, whole, habits, known))
    return whole


def _sniffed_has(file: Path, said: Stated, known: Mapping[str, Any]) -> bool:
    """Tell whether the detected delimiter gives the required columns."""
    free = csv_dialect.checked(structs.replace(said, delimiter=None, header=True, names=None))
    return csv_header.has(csv_dialect.sniff(file, free).header, known)


def _names(file: Path, whole: Stated, habits: Habits, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the column names of a file without a header, which may lack the target."""
    found = csv_dialect.sniff(file, structs.replace(whole, names=None), known=known)
    if found.has_header:
        return ()
    names = csv_header.listed(whole.names) or habits.columns
    without = tuple(name for name in names if name != habits.target)
    for each in (names, without):
        if len(each) == len(found.header):
            return each
    raise InvalidInputError(
        f"{file} has {len(found.header)} columns, and the files of the dataset have {len(names)} "
        "and no header; name its columns with --names a,b,c"
    )


def _source_file(s: Session, version: DatasetVersion) -> tuple[str, File | None]:
    """Return the dataset and the file provenance that the rows of a version come from."""
    for _ in range(_MOST_PARENTS):
        name, made = version.dataset.name, version.provenance
        if isinstance(made, File):
            return name, made
        last = datasets.last_made(s, name, File)
        if last is not None or not version.parents:
            return name, last
        version = datasets.get_version(s, *ingest.parse_reference(version.parents[0]))
    return version.dataset.name, None
