"""Queries of feature views: over rows in memory, or in another database, which stays as it is."""

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mlkit.errors import InvalidInputError
from mlkit.store import foreign
from mlkit.store.engine import sqlite_driver

QueryResult = tuple[list[str], list[Sequence[Any]]]
_BATCH = 10_000  # rows fetched at a time


def over_rows(
    table: str, names: Sequence[str], rows: Iterable[Sequence[Any]], query: str
) -> QueryResult:
    """Return what ``query`` finds in rows that lie in a SQLite table of that name, in memory."""
    driver = sqlite_driver()
    with closing(driver.connect(":memory:")) as connection:
        columns = ", ".join(map(_quoted, names))
        marks = ", ".join("?" * len(names))
        connection.execute(f"CREATE TABLE {_quoted(table)} ({columns})")
        connection.executemany(f"INSERT INTO {_quoted(table)} VALUES ({marks})", rows)  # noqa: S608  # quoted names
        connection.set_authorizer(foreign.allow)  # VACUUM INTO makes a file
        try:
            cursor = connection.execute(query)
        except driver.Error as error:
            raise InvalidInputError(f"the query failed: {error}") from error
        if cursor.description is None:
            raise InvalidInputError("the query returns no rows; write a SELECT")
        return [column[0] for column in cursor.description], cursor.fetchall()


def of_database(url: str, query: str, folder: Path) -> QueryResult:
    """Return what ``query`` finds in the database ``url``, read only (see ``foreign``)."""
    parsed = foreign.parse(url, folder)
    label = foreign.public(parsed)
    filled = foreign.fill(parsed, os.environ)
    with foreign.select(filled, query, chunk=_BATCH, label=label) as (names, chunks):
        return names, [tuple(row) for chunk in chunks for row in chunk]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
