"""Open the database safely: pragmas, transactions, one engine per process."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from mlkit.errors import BusyError, MlkitError
from mlkit.store.dialects import database_errors, json_columns, read_only
from mlkit.store.dialects.sqlite import sqlite_driver, wal_is_safe

APPLICATION_ID = 0x6D6C6B74  # "mlkt": lets `file ml.sqlite` identify the application

log = logging.getLogger("mlkit.store")

_WRITERS = 10  # concurrent writers of one process
_LONGEST_S = 1e6  # PostgreSQL has timeouts of 31 bits, in ms


class Database:
    """One database by URL, with separate sessions for reading and writing."""

    def __init__(
        self, url: URL | str, *, busy_timeout_s: float = 10.0, foreign_keys: bool = True
    ) -> None:
        """Without ``foreign_keys`` SQLite does not check references: for migrations."""
        self.url = make_url(url)
        self._foreign_keys = foreign_keys
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._busy_timeout_s = min(busy_timeout_s, _LONGEST_S)
        self._engine: Engine | None = None
        self._pid = 0
        self._turns = threading.BoundedSemaphore(_WRITERS)
        self._file: tuple[int, int] | None = None
        self.must_exist = False

    @property
    def file_id(self) -> tuple[int, int] | None:
        """Device and inode of the open file: a file that replaces it is another database.

        None before the first connection, and if the database is no file.
        """
        return self._file

    @property
    def file_there(self) -> tuple[int, int] | None:
        """Device and inode of the file that now has the name, None if there is none."""
        return _file_id(self.url)

    @property
    def engine(self) -> Engine:
        """The engine of this process: a forked process makes its own."""
        if self._engine is None or self._pid != os.getpid():
            self._engine = self._sqlite() if self.is_sqlite else self._other()
            self._pid, self._file = os.getpid(), None
            self._turns = threading.BoundedSemaphore(_WRITERS)
        return self._engine

    def for_migration(self) -> "Database":
        """Return the same database without reference checks, for migrations that rebuild tables.

        SQLite rebuilds a table by dropping it, and changes ``foreign_keys`` only outside of a
        transaction. The caller must check the references at the end, and dispose of the database.
        """
        found = Database(self.url, busy_timeout_s=self._busy_timeout_s, foreign_keys=False)
        found.must_exist = self.must_exist
        return found

    @property
    def is_read_only(self) -> bool:
        """Whether this is a SQLite file in a folder that this process may not write to."""
        folder = Path(self.location).parent
        return self.is_sqlite and folder.is_dir() and not os.access(folder, os.W_OK)

    @property
    def location(self) -> str:
        """The file, or the server and database, without user name or password."""
        return _location(self.url)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the engine: the other process makes its own."""
        state = {**self.__dict__, "_engine": None, "_pid": 0, "_file": None}
        del state["_turns"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle in another process."""
        self.__dict__.update(state, _turns=threading.BoundedSemaphore(_WRITERS))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session on one snapshot; changes are rolled back."""
        self._follow_file()
        with _errors(self.url), Session(self.engine, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session that holds the write lock from the start and commits at the end.

        The lock is taken first, because SQLite fails at once, whatever the timeout, when a deferred
        transaction becomes a writer on an old snapshot. Never nest; never do anything slow inside.
        """
        self._follow_file()
        if self.is_read_only:
            raise MlkitError(
                f"{self.location} cannot be written to: the disk is mounted read-only, or its "
                "folder belongs to others; what only reads works on"
            )
        with (
            _errors(self.url),
            self._turn(),
            Session(self.engine, expire_on_commit=False) as session,
        ):
            session.connection(execution_options={"mlkit_write": True})
            yield session
            session.commit()

    @contextmanager
    def bare(self) -> Iterator[Connection]:
        """Yield a connection outside of any transaction, as some SQLite statements require."""
        with _errors(self.url), self.engine.connect() as connection:
            yield connection.execution_options(mlkit_bare=True)

    def dispose(self) -> None:
        """Close every connection of this process."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = self._file = None

    def _follow_file(self) -> None:
        """Close connections to a file that was replaced; raises MlkitError if it is missing.

        Open connections would continue with the old file, and a new one would create an empty file.
        """
        if self._file is None or self._engine is None or self._pid != os.getpid():
            return
        found = _file_id(self.url)
        if found is None:
            raise MlkitError(f"{self.location} is missing; put it back (see: mlkit backup restore)")
        if found != self._file:
            log.warning("%s was replaced by another file, which is used from now on", self.location)
            self.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold one of the few write slots; raises BusyError if none becomes free in time.

        A database server has a limited number of connections. Writers that wait for locks, each
        with a connection, must leave some to readers.
        """
        if self.is_sqlite:
            yield
            return
        turns = self._turns
        if not turns.acquire(timeout=self._busy_timeout_s):
            raise BusyError(
                f"{_WRITERS} others of this process wait to write to the database; try again"
            )
        try:
            yield
        finally:
            turns.release()

    def _other(self) -> Engine:
        libpq = "psycopg" in self.url.get_driver_name()
        engine = create_engine(
            self.url,
            max_overflow=-1,  # waiting writers do not block readers
            # psycopg returns bytes as text in SQL_ASCII databases
            connect_args={"client_encoding": "utf8"} if libpq else {},
            **json_columns.OPTIONS,
        )

        def on_connect(connection: Any, _record: object) -> None:
            with connection.cursor() as cursor:
                # 0 would be no timeout
                cursor.execute(f"SET lock_timeout = {max(1, int(self._busy_timeout_s * 1e3))}")
            connection.commit()

        event.listen(engine, "connect", on_connect)
        return engine

    def _missing(self) -> MlkitError:
        return MlkitError(f"{self.location} is missing; put it back (see: mlkit backup restore)")

    def _sqlite(self) -> Engine:
        driver = sqlite_driver()
        arguments: dict[str, Any] = {"timeout": self._busy_timeout_s}
        if self.is_read_only:
            engine = read_only.engine(driver, Path(self.location), self.url, arguments)
            pragmas: tuple[str, ...] = read_only.PRAGMAS
        else:
            engine = create_engine(
                self.url,
                module=driver,
                connect_args=arguments,
                max_overflow=-1,  # waiting writers do not block readers
                **json_columns.OPTIONS,
            )
            wal = wal_is_safe(driver.sqlite_version_info)
            pragmas = _pragmas(wal=wal, foreign_keys=self._foreign_keys)

        def on_connect(connection: Any, _record: object) -> None:
            self._file = self._file or _file_id(self.url)
            connection.isolation_level = None  # the driver must not begin transactions itself
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        def on_begin(connection: Any) -> None:
            options = connection.get_execution_options()
            if options.get("mlkit_bare"):
                return
            write = options.get("mlkit_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        def on_connecting(*_: object) -> None:
            if self.must_exist and _file_id(self.url) is None:  # SQLite would create an empty file
                raise self._missing()

        event.listen(engine, "do_connect", on_connecting)
        event.listen(engine, "connect", on_connect)
        event.listen(engine, "begin", on_begin)
        return engine


def _pragmas(*, wal: bool, foreign_keys: bool) -> tuple[str, ...]:
    return (
        f"journal_mode={'WAL' if wal else 'DELETE'}",
        "synchronous=FULL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        "trusted_schema=OFF",  # functions in views and triggers of an untrusted file do not run
        "mmap_size=0",  # a stray write into mapped pages would corrupt the file
        "secure_delete=ON",  # deleted rows are overwritten
        "journal_size_limit=67108864",
    )


@contextmanager
def _errors(url: URL) -> Iterator[None]:
    """Convert the driver's errors that an operator can fix into ours."""
    try:
        yield
    except (PoolTimeoutError, DatabaseError) as error:
        found = database_errors.translated(error, _location(url))
        if found is None:
            raise
        raise found from error


def _file_id(url: URL) -> tuple[int, int] | None:
    try:
        found = os.stat(url.database or "")  # noqa: PTH116  # faster, once per transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _location(url: URL) -> str:
    """Return the database's place without user name or password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string().rpartition("@")[2]
