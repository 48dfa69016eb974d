"""Triggers that make the history tables append-only in the database itself, for any program."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

_UNCHANGEABLE = {
    "audit_event": "OLD.seq IS NOT NULL",
    "deployment": (
        "OLD.ended_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.model_id <> OLD.model_id "
        "OR NEW.model_version_id <> OLD.model_version_id OR NEW.role <> OLD.role "
        "OR NEW.started_at <> OLD.started_at OR NEW.actor <> OLD.actor OR NEW.reason <> OLD.reason"
    ),
}


def protect(connection: Connection) -> None:
    """Create the triggers: no row is deleted, none is changed but for a deployment's end."""
    for table, forbidden in _UNCHANGEABLE.items():
        make = _sqlite if connection.dialect.name == "sqlite" else _postgresql
        for statement in make(table, forbidden):
            connection.execute(text(statement))


def faults(s: Session) -> Iterator[str]:
    """Yield a fault for each missing, changed or added trigger; nothing on PostgreSQL.

    An added trigger could change rows while they are written, before the audit trail covers them.
    """
    there, wanted = _triggers(s)
    for name in sorted(there.keys() | wanted.keys()):
        if there.get(name) != wanted.get(name):
            how = "gone" if name not in there else "added" if name not in wanted else "changed"
            yield f"the trigger {name} is {how}: the database was changed outside of mlkit"


def mend(s: Session) -> None:
    """Drop every changed or added trigger, and create the missing ones."""
    there, wanted = _triggers(s)
    for name in there.keys() - {name for name in there if there[name] == wanted.get(name)}:
        s.execute(text(f'DROP TRIGGER "{name.replace(chr(34), chr(34) * 2)}"'))
    for name, statement in wanted.items():
        if there.get(name) != statement:
            s.execute(text(statement))


def _triggers(s: Session) -> tuple[dict[str, str], dict[str, str]]:
    """Return the SQL of the existing and of the expected triggers, by name."""
    if s.get_bind().dialect.name != "sqlite":
        return {}, {}
    rows = s.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    made = [one for table, condition in _UNCHANGEABLE.items() for one in _sqlite(table, condition)]
    return {row.name: row.sql for row in rows}, {one.split()[2]: one for one in made}


@contextmanager
def lifted(s: Session, table: str) -> Iterator[None]:
    """Allow changes to rows of ``table`` within the block: an erasure removes names from texts.

    The audit trail covers the rows, so the change is on record. If the block fails, the trigger is
    restored by the rollback of ``s``.
    """
    sqlite = s.get_bind().dialect.name == "sqlite"
    off = (
        "DROP TRIGGER {0}_no_change" if sqlite else "ALTER TABLE {0} DISABLE TRIGGER {0}_no_change"
    )
    on = "ALTER TABLE {0} ENABLE TRIGGER {0}_no_change"
    s.execute(text(off.format(table)))
    yield
    s.flush()
    s.execute(text(_sqlite(table, _UNCHANGEABLE[table])[1] if sqlite else on.format(table)))


def _sqlite(table: str, condition: str) -> list[str]:
    stop = f"SELECT RAISE(ABORT, '{table} is append-only')"
    return [
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN {stop}; END",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE ON {table} WHEN {condition} "
        f"BEGIN {stop}; END",
    ]


def _postgresql(table: str, condition: str) -> list[str]:
    return [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger AS $$ BEGIN "
        f"RAISE EXCEPTION '{table} is append-only'; END $$ LANGUAGE plpgsql",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION {table}_append_only()",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE ON {table} FOR EACH ROW "
        f"WHEN ({condition}) EXECUTE FUNCTION {table}_append_only()",
    ]
