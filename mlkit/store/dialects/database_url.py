"""Database URLs: built, parsed, and refused if no engine can be made from them."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from mlkit.errors import InvalidInputError

_BACKENDS: Final = ("sqlite", "postgresql")
_FORMS: Final = "write postgresql+psycopg://USER@HOST:PORT/DATABASE or sqlite:////PATH/ml.sqlite"


def sqlite_url(file: Path) -> URL:
    """Return the URL of a SQLite file, built from parts: in a text %, ? and # are special.

    >>> sqlite_url(Path("/srv/a%2Fb?c")).database
    '/srv/a%2Fb?c'
    """
    return URL.create("sqlite", database=str(file))


def parse(text: str, folder: Path) -> URL:
    """Return the URL in ``text``; the path of a SQLite file is relative to ``folder``.

    Raises InvalidInputError without the text, which may contain a password.
    """
    url = check(text)
    if url.get_backend_name() != "sqlite":
        return url
    return url.set(database=str(folder / str(url.database)))


def check(text: str) -> URL:
    """Return ``text`` as URL if an engine can be made from it; errors do not show the text."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is not a number
        raise InvalidInputError(f"db.url is not the URL of a database; {_FORMS}") from error
    if "\0" in text or (url.port is not None and not 0 < url.port < 1 << 16):
        raise InvalidInputError(f"db.url has an invalid character or port; {_FORMS}")
    if url.get_backend_name() not in _BACKENDS:
        raise InvalidInputError(
            f"db.url is of {url.drivername[:40]!r}, which is not known; {_FORMS}"
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidInputError(f"db.url names no file; {_FORMS}")
    _refuse_driver(url)
    return url


def _refuse_driver(url: URL) -> None:
    try:
        kind: Any = url.get_dialect()  # its type stub has no arguments
        dialect = kind(dbapi=kind.import_dbapi())
        dialect.create_connect_args(url)
    except (ArgumentError, ValueError) as error:  # hosts and ports in the query of the URL
        raise InvalidInputError(f"db.url has options that do not go together; {_FORMS}") from error
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidInputError(
            f"db.url: no driver for {url.drivername[:40]!r}; {_FORMS} (pip install mlkit[postgres])"
        ) from error
    if dialect.is_async:
        raise InvalidInputError(
            f"db.url: {url.drivername[:40]!r} is an asynchronous driver; {_FORMS}"
        )
