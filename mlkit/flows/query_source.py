"""Rows from a query on a database that SQLAlchemy knows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from mlkit.errors import InvalidInputError
from mlkit.flows.fetched import Fetched, Fetching, Ready
from mlkit.flows.versioning import Origin
from mlkit.project import Project
from mlkit.settings import DatasetSettings
from mlkit.store import datasets, foreign

_CHUNK_ROWS = 10_000


@dataclass(frozen=True, repr=False)
class QuerySource:
    """A query on the database ``url``, which may hold a password: never print it.

    The file of a SQLite database is looked for in ``folder``.
    """

    url: str
    query: str
    folder: Path


def of_settings(project: Project, settings: DatasetSettings) -> QuerySource:
    """Return the query that ``[datasets.NAME]`` asks."""
    return QuerySource(settings.source, settings.query, project.root)


def remembered(project: Project, name: str) -> QuerySource | None:
    """Return the last query that made a version of ``name``, if one did.

    Versions of logged rows, which retrainings make, may have come since.
    """
    with project.read() as s:
        made = datasets.last_made(s, name, "query")
    return None if made is None else of_record(project, made)


def of_record(project: Project, made: Mapping[str, Any]) -> QuerySource:
    """Return the query that a version's transformation tells of."""
    return QuerySource(made["url"], made["query"], project.root)


def ready(source: QuerySource) -> Ready:
    """Return the query as it can be fetched; raises InvalidInputError."""
    if not source.query.strip():
        raise InvalidInputError("the query is empty; write for example SELECT * FROM customers")
    url = foreign.parse(source.url, source.folder)
    return Ready(foreign.public(url), fetch=lambda how: _fetch(url, source.query, how))


def _fetch(url: URL, query: str, how: Fetching) -> Fetched:
    from mlkit.steps import query_rows  # pyarrow, which `data list` does without

    label = foreign.public(url)
    filled = foreign.fill(url, os.environ)
    if how.progress is not None:
        how.progress("asking the database", 0, 0)
    with foreign.select(filled, query, chunk=_CHUNK_ROWS, label=label) as (names, chunks):
        table = query_rows.load(names, chunks, how.scratch, label)
    transformation = {"kind": "query", "url": label, "query": query}
    return Fetched(table, Origin(label, transformation=transformation), typed="query")
