"""Detect table definitions and indexes that falsify queries although all rows are intact.

Triggers are in ``append_only``, the rows themselves in ``covers``. SQLite alone.
"""

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from mlkit.store import covers
from mlkit.store.base import Base

_BENT: Final = re.compile(r"\bON\s+CONFLICT\b|\bCOLLATE\b|\bAS\s*\(", re.IGNORECASE)


def faults(s: Session) -> Iterator[str]:
    """Yield the tables whose definition alters values, and the indexes that disagree with the rows.

    ON CONFLICT in a definition drops writes silently. An edited index can make a query return an
    earlier champion. A view in place of a table, or a computed column, can return anything.
    """
    if s.get_bind().dialect.name != "sqlite":
        return
    found = s.execute(text("SELECT name, type, sql FROM sqlite_master")).all()
    there = {row.name: row for row in found if row.type in ("table", "view")}
    for name in sorted(there.keys() & Base.metadata.tables.keys()):
        if there[name].type == "view" or _BENT.search(str(there[name].sql)):
            yield f"the table {name} is not as it was made: restore a backup"
        elif covers.is_covered(name):
            yield from _damage(s, name)


def mend(s: Session) -> None:
    """Rebuild the indexes of covered tables that disagree with the rows."""
    for name in filter(covers.is_covered, Base.metadata.tables):
        if s.get_bind().dialect.name == "sqlite" and any(_damage(s, name)):
            s.execute(text(f"REINDEX {name}"))


def _damage(s: Session, name: str) -> Iterator[str]:
    first = str(s.execute(text(f"PRAGMA integrity_check({name})")).scalar())
    if first != "ok":
        yield f"the indexes of the table {name} do not say what its rows do: {first}"
