"""Write to the database so that it can be told afterwards what was taken back, edited or lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from mlkit.store import audit, commits, system_log, witness
from mlkit.store.audit import AuditEvent
from mlkit.store.engine import Database
from mlkit.store.witness import Witness


@dataclass(frozen=True)
class Keeper:
    """Who writes, under which key, and the folder where the witness is."""

    folder: Path
    key: Callable[[], bytes]
    actor: Callable[[], str]
    now: Callable[[], datetime]

    def witnessed(self) -> Witness | None:
        """Return what is known outside of the database about the audit trail, None if nothing."""
        return witness.read(self.folder, self.key())


@contextmanager
def reading(database: Database, keeper: Keeper) -> Iterator[Session]:
    """Yield a session on one snapshot that can check the audit trail."""
    with database.read() as s:
        audit.attach(s, audit.Trail(keeper.key, keeper.witnessed))
        yield s


@contextmanager
def writing(database: Database, keeper: Keeper) -> Iterator[Session]:
    """Yield a session that commits at the end; afterwards the witness knows of it."""
    trail = audit.Trail(keeper.key, keeper.witnessed)
    number = None
    with database.write() as s:
        audit.attach(s, trail)
        before = commits.changes(s) if database.is_sqlite else 0
        yield s
        audit.close(s, keeper.now, keeper.actor)
        if database.is_sqlite and commits.changes(s) != before:
            number = commits.count(s, keeper.folder)
    if number is not None:
        witness.note_commit(keeper.folder, number)
    if trail.last is not None:
        _tell(keeper, trail.last, known=trail.is_known)


def seal(database: Database, keeper: Keeper, reason: str, faults: list[str]) -> None:
    """Cover the database as it stands, and let the witness begin anew with that."""
    with writing(database, keeper) as s:
        sealed = audit.seal(s, keeper.now(), actor=keeper.actor(), reason=reason, faults=faults)
        if database.is_sqlite:
            commits.forgive(s)
    witness.write(keeper.folder, keeper.key(), Witness(sealed.seq, sealed.hash, sealed.seq))


def begin(keeper: Keeper) -> None:
    """Make the witness of a database without any event."""
    witness.write(keeper.folder, keeper.key(), Witness(0, audit.GENESIS, 1))


def _tell(keeper: Keeper, last: AuditEvent, *, known: bool) -> None:
    """Let the witness and the system's log know the last event, the former if all before is."""
    if known:
        witness.advance(keeper.folder, keeper.key(), last.seq, last.hash)
    place = keeper.folder.parent
    system_log.tell(f"audit {place} event {last.seq} {last.hash} {last.action} by {last.actor}")
