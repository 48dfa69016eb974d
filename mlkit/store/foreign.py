"""Read-only queries on an external database, or on rows in memory."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL as URL  # re-exported
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mlkit.errors import InvalidInputError
from mlkit.store.dialects.sqlite import sqlite_driver

Rows = tuple[list[str], list[Sequence[Any]]]

_BATCH = 10_000  # rows fetched at a time
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_READING = re.compile(r"(?:SELECT|WITH|VALUES|TABLE|FROM|EXPLAIN|SHOW)\b|$", re.IGNORECASE)
_INTO = re.compile(r"\bINTO\b", re.IGNORECASE)
_TO_FILE = re.compile(r"\b(?:OUTFILE|DUMPFILE)\b", re.IGNORECASE)

# of SQLite, https://sqlite.org/c3ref/c_alter_table.html
_OK, _DENY = 0, 1
_URI_PARAMETERS = frozenset({"immutable", "nolock", "cache"})
_PRAGMA, _READ, _SELECT, _FUNCTION, _RECURSIVE = 19, 20, 21, 31, 33
_FUNCTIONS_WITH_EFFECTS = frozenset({"load_extension", "writefile", "edit", "fts3_tokenizer"})
_PRAGMAS_TO_READ = frozenset(
    {
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "data_version",
    }
)


def parse(text: str, folder: Path) -> URL:
    """Parse a URL; the relative path of a SQLite file is resolved in ``folder``.

    Raises InvalidInputError, without the text, which may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InvalidInputError(
            "the source is not a URL such as postgresql+psycopg://user@host/database"
        ) from error
    if url.get_backend_name() == "sqlite" and not str(url.database).startswith("file:"):
        file = folder / Path(url.database or "").expanduser()
        if not file.is_file():
            raise InvalidInputError(f"{file} is not a file")
        url = url.set(database=str(file))
    return url


def public(url: URL) -> str:
    """Return the URL for display and storage: without a password, unless it is a ``${VARIABLE}``.

    >>> public(make_url("postgresql://ann:secret@host/shop?sslpassword=x"))
    'postgresql://ann@host/shop'
    >>> public(make_url("postgresql://ann:${SHOP}@host/shop"))
    'postgresql://ann:${SHOP}@host/shop'
    >>> public(make_url("postgresql://host/shop?user=ann&password=${SHOP}"))
    'postgresql://host/shop?password=${SHOP}&user=ann'
    """
    shown = URL.create(
        url.drivername,
        username=url.username,
        password=str(url.password) if _is_open(url.password) else None,
        host=url.host,
        port=url.port,
        database=url.database,
        query={
            name: value
            for name, value in url.query.items()
            if not _SECRET.search(name) or _is_open(value)
        },
    ).render_as_string(hide_password=False)
    return shown.replace("%24%7B", "${").replace("%7D", "}")


def _is_open(secret: object) -> bool:
    """Tell whether a secret is only a reference to a variable."""
    return isinstance(secret, str) and _VARIABLE.fullmatch(secret) is not None


def variables(url: URL) -> list[str]:
    """Return the names of the variables in any part of a URL.

    >>> variables(make_url("postgresql://ann:${SHOP}@${HOST}/shop?x=${Y}"))
    ['SHOP', 'HOST', 'Y']
    """
    return _VARIABLE.findall(unquote(url.render_as_string(hide_password=False)))


def fill(url: URL, environment: Mapping[str, str]) -> URL:
    """Return the URL with its variables replaced; raises InvalidInputError."""

    def of(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise InvalidInputError(
                f"the source names the variable {match[1]}, which the environment does not have"
            )
        return environment[match[1]]

    def filled(part: str) -> str:
        return _VARIABLE.sub(of, part)

    def maybe(part: str | None) -> str | None:
        return None if part is None else filled(str(part))

    return URL.create(
        url.drivername,
        username=maybe(url.username),
        password=maybe(url.password),
        host=maybe(url.host),
        port=url.port,
        database=maybe(url.database),
        query={
            name: filled(value) if isinstance(value, str) else tuple(map(filled, value))
            for name, value in url.query.items()
        },
    )


@contextmanager
def select(
    url: URL, query: str, *, chunk: int, label: str
) -> Iterator[tuple[list[str], Iterator[Sequence[Sequence[Any]]]]]:
    """Yield the names of the columns and the rows of ``query``, ``chunk`` at a time.

    The transaction is read-only if the database supports that, and always rolled back. Raises
    InvalidInputError, which names ``label`` and not the password.
    """
    try:
        engine = _engine(url)
        _refuse_other_statements(query, label)
        with engine.connect() as plain:
            connection = _read_only(plain, url.get_backend_name())
            streaming = connection.execution_options(
                stream_results=True, max_row_buffer=chunk, no_parameters=True
            )
            result = streaming.exec_driver_sql(query)
            if not result.returns_rows:
                raise InvalidInputError(f"{label} gives no rows; write a SELECT")
            yield list(result.keys()), result.partitions(chunk)
            connection.rollback()
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"{label}: no driver for {url.drivername}; pip install {error.name}"
        ) from error
    except (SQLAlchemyError, NoSuchModuleError, sqlite_driver().Warning) as error:
        raise InvalidInputError(f"{label}: {_said(error, url)}") from error


def of_database(url: str, query: str, folder: Path) -> Rows:
    """Return the result of ``query`` on the database ``url``, read only."""
    parsed = parse(url, folder)
    filled = fill(parsed, os.environ)
    with select(filled, query, chunk=_BATCH, label=public(parsed)) as (names, chunks):
        return names, [tuple(row) for chunk in chunks for row in chunk]


def over_rows(table: str, names: Sequence[str], rows: Iterable[Sequence[Any]], query: str) -> Rows:
    """Return the result of ``query`` on ``rows`` in an in-memory SQLite table."""
    driver = sqlite_driver()
    with closing(driver.connect(":memory:")) as connection:
        columns = ", ".join(map(_quoted, names))
        marks = ", ".join("?" * len(names))
        connection.execute(f"CREATE TABLE {_quoted(table)} ({columns})")
        connection.executemany(f"INSERT INTO {_quoted(table)} VALUES ({marks})", rows)  # noqa: S608  # quoted names
        connection.set_authorizer(allow)  # VACUUM INTO writes a file
        try:
            cursor = connection.execute(query)
        except driver.Error as error:
            raise InvalidInputError(f"the query failed: {error}") from error
        if cursor.description is None:
            raise InvalidInputError("the query returns no rows; write a SELECT")
        return [column[0] for column in cursor.description], cursor.fetchall()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(_with_driver(url), poolclass=NullPool, hide_parameters=True)
    driver = sqlite_driver()
    return create_engine(
        "sqlite://",
        module=driver,
        creator=lambda: driver.connect(read_only_uri(url), uri=True),
        poolclass=NullPool,
        hide_parameters=True,
    )


def read_only_uri(url: URL) -> str:
    """Return the read-only URI of a SQLite file, whatever its own parameters are.

    >>> read_only_uri(make_url("sqlite:////data/a%3Fb.sqlite"))
    'file:/data/a%3Fb.sqlite?mode=ro'
    >>> read_only_uri(make_url("sqlite:///file:/data/shop.sqlite?mode=rwc&immutable=1&uri=true"))
    'file:/data/shop.sqlite?immutable=1&mode=ro'
    """
    database = str(url.database)
    kept = {name: str(value) for name, value in url.query.items() if name in _URI_PARAMETERS}
    path = database.partition("?")[0] if database.startswith("file:") else f"file:{quote(database)}"
    return f"{path}?{urlencode({**kept, 'mode': 'ro'})}"


def allow(action: int, first: str | None, second: str | None, *_: object) -> int:
    """SQLite authorizer that only allows reads: no ATTACH, which can create files."""
    if action in (_SELECT, _READ, _RECURSIVE):
        return _OK
    if action == _FUNCTION:
        return _DENY if (second or "").lower() in _FUNCTIONS_WITH_EFFECTS else _OK
    if action == _PRAGMA:
        return _OK if first in _PRAGMAS_TO_READ else _DENY
    return _DENY


def _refuse_other_statements(query: str, label: str) -> None:
    """Raise InvalidInputError unless ``query`` is a SELECT: COPY TO, for example, writes a file.

    The permissions of the database limit what a SELECT can do. This check covers statements that a
    read-only transaction of PostgreSQL or MySQL allows.
    """
    text = _COMMENT.sub(" ", query).lstrip(" (\n\t\r\f")
    # searched as a whole: MySQL executes /*! comments */, and literals may look like comments
    into = _INTO.search(query)
    if not _READING.match(text) or (into and _TO_FILE.search(query, into.end())):
        raise InvalidInputError(f"{label} is used readonly; write one SELECT")


def _with_driver(url: URL) -> URL:
    """Return the URL with the driver that comes with mlkit if it names none."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _read_only(connection: Connection, backend: str) -> Connection:
    if backend == "postgresql":
        return connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    if backend == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        made: Any = connection.connection.driver_connection
        made.set_authorizer(allow)
    if backend in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        connection.rollback()
    return connection


def _said(error: Exception, url: URL) -> str:
    """Return the first line of a database error, without the password."""
    text = str(getattr(error, "orig", None) or error).strip()
    secrets = [url.password, *(url.query[name] for name in url.query if _SECRET.search(name))]
    for secret in filter(None, map(str, filter(None, secrets))):
        text = text.replace(secret, "***")
    return " ".join(text.split())[:300]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
