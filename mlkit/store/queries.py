"""Queries of feature views: over rows in memory, or in another database, which stays as it is."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from mlkit.errors import InvalidInputError
from mlkit.store.engine import sqlite_driver

Rows = tuple[list[str], list[Sequence[Any]]]
_BATCH = 10_000  # rows fetched at a time


def over_rows(table: str, names: Sequence[str], rows: Iterable[Sequence[Any]], query: str) -> Rows:
    """Return what ``query`` finds in rows that lie in a SQLite table of that name, in memory."""
    driver = sqlite_driver()
    with closing(driver.connect(":memory:")) as connection:
        columns = ", ".join(map(_quoted, names))
        marks = ", ".join("?" * len(names))
        connection.execute(f"CREATE TABLE {_quoted(table)} ({columns})")
        connection.executemany(f"INSERT INTO {_quoted(table)} VALUES ({marks})", rows)  # noqa: S608  # quoted names
        try:
            cursor = connection.execute(query)
        except driver.Error as error:
            raise InvalidInputError(f"the query failed: {error}") from error
        if cursor.description is None:
            raise InvalidInputError("the query returns no rows; write a SELECT")
        return [column[0] for column in cursor.description], cursor.fetchall()


def of_database(url: str, query: str) -> Rows:
    """Return what ``query`` finds in the database ``url``; what it changes is taken back."""
    try:
        engine = create_engine(make_url(url))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidInputError(f"cannot open the database of the query: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _query_only)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execution_options(postgresql_readonly=True)
            found = connection.execution_options(stream_results=True).execute(text(query))
            return list(found.keys()), list(_all(found))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).split("\n")[0]
        raise InvalidInputError(f"the query failed: {reason}") from error
    finally:
        engine.dispose()


def _all(found: Any) -> Iterator[Sequence[Any]]:
    for part in found.partitions(_BATCH):
        yield from map(tuple, part)


def _query_only(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
