"""The source of a dataset, file or query: the only module that tells the two apart."""

from pathlib import Path

from mlkit.errors import InvalidInputError
from mlkit.flows.data import file_source, query_source
from mlkit.flows.data.fetched import Ready
from mlkit.flows.data.file_source import FileSource
from mlkit.flows.data.query_source import QuerySource
from mlkit.project import Project
from mlkit.provenance import File, Query, Unknown
from mlkit.store.datasets import DatasetVersion

Source = FileSource | QuerySource


def ready(project: Project, name: str, source: Source, scratch: Path) -> Ready:
    """Return ``source`` ready to be fetched for dataset ``name``; raises InvalidInputError."""
    match source:
        case FileSource():
            return file_source.ready(project, name, source, scratch)
        case QuerySource():
            return query_source.ready(source)


def again(project: Project, version: DatasetVersion, scratch: Path) -> Ready | None:
    """Return the source of the rows of a version, None if they were not fetched from one.

    Raises CheckFailedError if it is gone or has changed.
    """
    match version.provenance:
        case File() as made:
            return file_source.again(project, version, made, scratch)
        case Query() as made:
            return query_source.ready(query_source.of_record(project, version, made))
        case Unknown() if version.source_sha256:  # older releases: only files had a digest
            return file_source.again(project, version, File(), scratch)
        case _:
            return None


def configured(project: Project, name: str) -> Source:
    """Return the source of dataset ``name``: that of ``[datasets.NAME]``, else its last query.

    Raises InvalidInputError that says what to write into ``mlkit.toml``.
    """
    settings = project.settings.datasets.get(name)
    if settings is not None and settings.source:
        if settings.query:
            return query_source.of_settings(project, settings)
        return file_source.of_settings(project, settings)
    remembered = query_source.remembered(project, name)
    if remembered is not None:
        return remembered
    raise InvalidInputError(
        f"dataset '{name}' has no source to read again; write into mlkit.toml:\n"
        f'[datasets."{name}"]\n'
        'source = "FILE"\n'
        'or a URL there and query = "SELECT ..."; or for a joined dataset, to be pulled, '
        'base = "DATASET" and views = ["VIEW"]'
    )
