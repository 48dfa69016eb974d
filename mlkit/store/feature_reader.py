"""Low-latency reads of the online store: plain SQL on a persistent connection."""

import json
import os
import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mlkit.errors import BusyError, InvalidInputError, MlkitError
from mlkit.store.engine import Database

Row = tuple[str, int, str]  # entity, event_us, data

_LIVE: Final = "v.set_id = (SELECT set_id FROM feature_view WHERE id = {mark})"
_ONE: Final = "SELECT v.entity, v.event_us, v.data FROM feature_value v WHERE {live} AND {which}"
_VIEWS: Final = "SELECT id, name, version, changes, columns FROM feature_view"


class Version(NamedTuple):
    """A stored version of a view; ``changes`` increases whenever its values change."""

    id: int
    name: str
    version: int
    changes: int
    columns: tuple[str, ...]


class FeatureReader:
    """Reads live values, with one connection per thread.

    One statement selects the live set and its values, so that a set replaced meanwhile is read
    either before or after, never a mix.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own = threading.local()
        self._open: list[Any] = []
        mark = "?" if database.is_sqlite else "%s"
        some = "IN (SELECT value FROM json_each(?))" if database.is_sqlite else "= ANY(%s)"
        live = _LIVE.format(mark=mark)
        self._one = _ONE.format(live=live, which=f"v.entity = {mark}")
        self._some = _ONE.format(live=live, which=f"v.entity {some}")

    def versions(self) -> list[Version]:
        """Return every stored version of every view."""
        return [
            Version(id_, name, version, changes, tuple(_list(columns)))
            for id_, name, version, changes, columns in self._fetch(_VIEWS, ())
        ]

    def values(self, view_id: int, entities: Sequence[str]) -> list[Row]:
        """Return the rows of these entities, in any order; entities without a row are left out."""
        if len(entities) == 1:
            return self._fetch(self._one, (view_id, entities[0]))
        listed = json.dumps(entities) if self._database.is_sqlite else list(entities)
        return self._fetch(self._some, (view_id, listed))

    def close(self) -> None:
        """Close the connections of this process."""
        while self._open:
            self._open.pop().close()
        self._own = threading.local()

    def _fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Return the rows, with one retry if the connection was lost; raises BusyError."""
        own = self._own
        try:
            if getattr(own, "pid", 0) != os.getpid():
                self._connect()
            try:
                return own.connection.execute(statement, parameters).fetchall()  # type: ignore[no-any-return]  # the driver's
            except Exception as error:
                if not self._is_lost(error):
                    raise
            self._database.engine.dispose()  # after one lost connection others may be lost too
            self._drop()
            self._connect()
            return own.connection.execute(statement, parameters).fetchall()  # type: ignore[no-any-return]  # the driver's
        except Exception as error:
            raise self._told(error) from error

    def _is_lost(self, error: Exception) -> bool:
        dialect = self._database.engine.dialect
        return isinstance(error, dialect.dbapi.Error) and dialect.is_disconnect(  # type: ignore[union-attr]  # every engine has its driver
            error, self._own.connection, None
        )

    def _told(self, error: Exception) -> MlkitError:
        """Convert the error of a failed look-up; wrong values are no database failure."""
        place = self._database.location
        driver: Any = self._database.engine.dialect.dbapi
        if isinstance(error, driver.DataError):
            return InvalidInputError(f"{place} does not take a value that was looked up: {error}")
        return BusyError(f"cannot read features from {place}: {error}")

    def _connect(self) -> None:
        fairy = self._database.engine.raw_connection()
        connection: Any = fairy.dbapi_connection
        fairy.detach()  # owned by the thread until it ends
        if not self._database.is_sqlite:
            connection.autocommit = True
        self._own.connection, self._own.pid = connection, os.getpid()
        self._open.append(connection)

    def _drop(self) -> None:
        """Close the connection of this thread; the next read opens a new one."""
        connection = self._own.connection
        self._own.pid = 0
        self._open.remove(connection)
        connection.close()


def _list(columns: str | list[str]) -> list[str]:
    """Return a JSON column as a list: SQLite returns text, PostgreSQL's driver a list."""
    return json.loads(columns) if isinstance(columns, str) else columns
