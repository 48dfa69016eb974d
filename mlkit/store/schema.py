"""The database schema and its migration between releases.

The numbered migrations are authoritative; a test compares ``metadata`` with their result.
"""

import re
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mlkit.errors import ConflictError, DamagedError, MlkitError
from mlkit.store import (  # noqa: F401  # importing a module maps its tables
    alerts,
    audit,
    baselines,
    commits,
    corrections,
    datasets,
    deployments,
    erasures,
    estimates,
    features,
    file_digests,
    predictions,
    registry,
    reports,
    requests,
    runs,
    segments,
    tokens,
)
from mlkit.store.base import Base
from mlkit.store.dialects.sqlite import sqlite_driver
from mlkit.store.engine import APPLICATION_ID, Database

metadata = Base.metadata

_MIGRATIONS = Path(__file__).with_name("migrations")
_NUMBERED = re.compile(r"\d{4}")
_OTHER = re.compile("already exists|no such|duplicate column")

COVERED_SINCE = "0018_segments"  # since this migration the audit trail covers all it does now


def revision(database: Database) -> str | None:
    """Return the revision of the database, None for an empty one; raises ConflictError."""
    with database.read() as s:
        connection = s.connection()
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" in tables:
            return _recorded(s, others=len(tables) > 1)
        if tables:
            raise ConflictError(
                f"the database has tables of another program ({', '.join(sorted(tables)[:3])}); "
                "name an empty one in db.url"
            )
    return None


def engine_name(database: Database) -> str:
    """Return name and version of the database engine, such as ``sqlite 3.45.1``."""
    with database.read() as s:
        dialect = s.connection().dialect
    return f"{dialect.name} {'.'.join(map(str, dialect.server_version_info or ()))}"


@cache
def head() -> str:
    """Return the newest migration, the one that this release needs."""
    return max(file.stem for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def is_empty(database: Database) -> bool:
    """Tell whether the database has no tables, as a new or empty SQLite file."""
    with database.read() as s:
        return not inspect(s.connection()).get_table_names()


def _recorded(s: Session, *, others: bool) -> str | None:
    found = s.scalar(text("SELECT version_num FROM alembic_version"))
    if found is None and not others:  # a downgraded migration
        return None
    if not isinstance(found, str) or not _NUMBERED.match(found):
        raise DamagedError(
            f"the database does not say which schema it has, but {str(found)[:40]!r}; restore a "
            "backup (see: mlkit backup restore)"
        )
    return found


def refuse_newer(found: str | None) -> None:
    """Raise ConflictError if ``found`` was written by a later release."""
    if found is not None and found > head():
        raise ConflictError(
            f"the database is at schema {found}, newer than this program knows ({head()}); "
            "upgrade mlkit (pip install --upgrade mlkit) or restore the backup made before"
        )


def upgrade(database: Database) -> None:
    """Migrate the database to ``head`` in one transaction."""
    from alembic import command  # imports take 0.3 s, needed only for a migration
    from alembic.config import Config
    from alembic.util import CommandError

    found = revision(database)
    refuse_newer(found)
    config = Config()
    scripts = str(_MIGRATIONS).replace("%", "%%")  # the value is interpolated
    config.set_main_option("script_location", scripts)
    migrated = database.for_migration()
    try:
        with migrated.write() as s:
            config.attributes["connection"] = s.connection()
            try:
                command.upgrade(config, "head")
            except (CommandError, OperationalError) as error:
                if isinstance(error, OperationalError) and not _OTHER.search(str(error.orig)):
                    raise
                raise DamagedError(
                    f"the database says that it has the schema {found!r}, and has another one; "
                    "restore a backup (see: mlkit backup restore)"
                ) from error
            if migrated.is_sqlite:
                _refuse_broken_references(s)
                s.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
    finally:
        migrated.dispose()


def _refuse_broken_references(s: Session) -> None:
    broken = s.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise DamagedError(
            f"row {broken[1]} of table {broken[0]} refers to a row of {broken[2]} that is not "
            "there; restore a backup (see: mlkit backup restore)"
        )


def snapshot(database: Database, target: Path) -> None:
    """Write a consistent copy of a SQLite database to ``target``, also during writes.

    Uses the online backup API: a plain copy of a live file can be corrupt. Raises MlkitError if the
    disk is full, and leaves no file then.
    """
    if not database.is_sqlite:
        raise MlkitError(
            "this project's database is not SQLite; back it up with its own tools (pg_dump)"
        )
    driver = sqlite_driver()
    source = Path(database.location).absolute().as_uri()
    try:
        with (
            closing(driver.connect(f"{source}?mode=ro", uri=True)) as live,
            closing(driver.connect(str(target))) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except driver.OperationalError as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise MlkitError(
            f"cannot copy the database to {target}: {error}; check the free space and who may "
            f"write to {target.parent}"
        ) from error
