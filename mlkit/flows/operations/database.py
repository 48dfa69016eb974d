"""Show and upgrade the schema of a database that ``open_project`` might refuse to open."""

from pathlib import Path

import msgspec

from mlkit.project import locate_project, refuse_missing_database, upgrade_with_backup
from mlkit.store import schema
from mlkit.store.engine import Database


class SchemaState(msgspec.Struct, frozen=True):
    """The location of the database, and its schema compared with that of this release."""

    location: str
    engine: str
    revision: str | None
    head: str
    state: str


def schema_state(path: Path | None) -> SchemaState:
    """Return the state of the database of the project in ``path``, changing nothing."""
    project = locate_project(path)
    refuse_missing_database(project)
    try:
        return _state_of(project.database)
    finally:
        project.close()


def upgrade_schema(path: Path | None) -> SchemaState:
    """Upgrade the database to this release's schema, return its state; raises ConflictError."""
    project = locate_project(path)
    refuse_missing_database(project)
    try:
        found = schema.revision(project.database)
        schema.refuse_newer(found)
        if found != schema.head():
            upgrade_with_backup(project)
        return _state_of(project.database)
    finally:
        project.close()


def _state_of(database: Database) -> SchemaState:
    revision = schema.revision(database)
    return SchemaState(
        location=database.location,
        engine=schema.engine_name(database),
        revision=revision,
        head=schema.head(),
        state=_compare(revision),
    )


def _compare(revision: str | None) -> str:
    if revision == schema.head():
        return "current"
    return "newer" if revision is not None and revision > schema.head() else "older"
