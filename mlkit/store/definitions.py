"""What a table's definition or an index can do to rows that are right when all of them are read.

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
    """Yield which tables drop or make up values on their own, and which indexes say other rows.

    What is written is left out in silence by ON CONFLICT, an edited index lets a query find an
    earlier champion, a view in place of a table or a computed column whatever its text says.
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
    """Make the indexes of all covered tables anew that do not say what their rows do."""
    for name in filter(covers.is_covered, Base.metadata.tables):
        if s.get_bind().dialect.name == "sqlite" and any(_damage(s, name)):
            s.execute(text(f"REINDEX {name}"))


def _damage(s: Session, name: str) -> Iterator[str]:
    first = str(s.execute(text(f"PRAGMA integrity_check({name})")).scalar())
    if first != "ok":
        yield f"the indexes of the table {name} do not say what its rows do: {first}"
