"""Rows from a query on a database that SQLAlchemy supports."""

import os
from dataclasses import dataclass
from pathlib import Path

from mlkit.errors import DamagedError, InvalidInputError
from mlkit.flows.data.fetched import Fetched, Ready
from mlkit.flows.data.versioning import Origin
from mlkit.project import Project
from mlkit.provenance import Query
from mlkit.settings.table import DatasetSettings
from mlkit.steps.reading.options import Reading
from mlkit.store import audit, datasets, foreign
from mlkit.store.datasets import DatasetVersion

_CHUNK_ROWS = 10_000


@dataclass(frozen=True, repr=False)
class QuerySource:
    """A query on the database ``url``, which may hold a password: never print it.

    A relative path of a SQLite database is resolved in ``folder``. ``${VARIABLE}`` is expanded from
    the environment only in a URL that a user ``stated``, in mlkit.toml or on the command line. It
    is never expanded in a recorded URL: anyone who can write the database could have forged that.
    """

    url: str
    query: str
    folder: Path
    stated: bool = True


def of_settings(project: Project, settings: DatasetSettings) -> QuerySource:
    """Return the query configured in ``[datasets.NAME]``."""
    return QuerySource(settings.source, settings.query, project.root)


def remembered(project: Project, name: str) -> QuerySource | None:
    """Return the query of the newest version of ``name`` that was made by one, or None.

    Newer versions may hold logged rows, which retraining adds.
    """
    with project.read() as s:
        version = datasets.newest_made(s, name, Query)
    made = version and version.provenance
    return of_record(project, version, made) if version and isinstance(made, Query) else None


def of_record(project: Project, version: DatasetVersion, made: Query) -> QuerySource:
    """Return the query that made a version, with the URL from mlkit.toml if it is the same one.

    Raises DamagedError if the version's row was changed after recording.
    """
    with project.read() as s:
        if not audit.vouches(s, version):
            raise DamagedError(
                f"the row of {version.reference} is not as the audit trail recorded it, so its "
                "source is not asked (see: mlkit audit verify)"
            )
    settings = project.settings.datasets.get(version.dataset.name)
    if settings is not None and settings.source and settings.query:
        url = foreign.parse(settings.source, project.root)
        if foreign.public(url) == made.url:
            return QuerySource(settings.source, made.query, project.root)
    return QuerySource(made.url, made.query, project.root, stated=False)


def ready(source: QuerySource) -> Ready:
    """Return a fetchable source for the query; raises InvalidInputError."""
    if not source.query.strip():
        raise InvalidInputError("the query is empty; write for example SELECT * FROM customers")
    url = foreign.parse(source.url, source.folder)
    if not source.stated and foreign.variables(url):
        raise InvalidInputError(
            f"the source {foreign.public(url)} is remembered in the database, and the environment "
            "fills in variables only where a person states them: write source and query under "
            "[datasets.NAME] in mlkit.toml, or give --source and --query"
        )
    environment = os.environ if source.stated else {}
    filled = foreign.fill(url, environment)
    label = foreign.public(url)
    return Ready(label, fetch=lambda how: _fetch(filled, label, source.query, how))


def _fetch(filled: foreign.URL, label: str, query: str, how: Reading) -> Fetched:
    from mlkit.steps.reading import query_rows  # imports pyarrow, which `data list` does not need

    if how.progress is not None:
        how.progress("asking the database", 0, 0)
    with foreign.select(filled, query, chunk=_CHUNK_ROWS, label=label) as (names, chunks):
        table = query_rows.load(names, chunks, how.scratch, label)
    return Fetched(table, Origin(label, made=Query(url=label, query=query)), typed="query")
