"""Write to the database so that it can be told afterwards what was taken back, edited or lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from mlkit.errors import DamagedError
from mlkit.store import audit, commits, definitions
from mlkit.store.audit import AuditEvent
from mlkit.store.dialects import append_only
from mlkit.store.disk import system_log, witness
from mlkit.store.disk.witness import Witness
from mlkit.store.engine import Database


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

    def commits(self) -> int | None:
        """Return the last commit that is known outside, None if nobody can tell."""
        with suppress(DamagedError):  # without the key, predictions are logged all the same
            return witness.commits(self.folder, self.key())
        return None

    def note_commit(self, number: int) -> None:
        """Let the last commit be known outside."""
        with suppress(DamagedError):
            witness.note_commit(self.folder, self.key(), number)


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
            number = commits.count(s, keeper.commits())
    if number is not None:
        keeper.note_commit(number)
    if trail.last is not None:
        _tell(keeper, trail.last, known=trail.is_known)


def seal(database: Database, keeper: Keeper, reason: str, faults: list[str]) -> None:
    """Cover the database as it stands, and let the witness begin anew with that.

    Only its triggers and indexes are made as they were, so that rows go on record as they will be.
    """
    with writing(database, keeper) as s:
        append_only.mend(s)
        definitions.mend(s)
        sealed = audit.seal(s, keeper.now(), actor=keeper.actor(), reason=reason, faults=faults)
        if database.is_sqlite:
            commits.forgive(s, keeper.commits())
    begin(database, keeper, Witness(sealed.seq, sealed.hash, sealed.seq))


def begin(database: Database, keeper: Keeper, known: Witness) -> None:
    """Make the witness, whatever it said: of ``known`` and of the last commit."""
    if database.is_sqlite:
        with database.read() as s:
            witness.begin_commits(keeper.folder, keeper.key(), commits.number(s))
    witness.write(keeper.folder, keeper.key(), known)


def cover(database: Database, keeper: Keeper) -> None:
    """Cover what an earlier release had written: all of it, or what that one did not cover.

    Of what is sealed already only tables are covered that no event has named a row of: a database
    that somebody has edited and calls an old one is not accepted as it is.
    """
    try:
        sealed = keeper.witnessed() is not None
    except DamagedError:  # the check tells of it
        return
    if not sealed:
        seal(database, keeper, "what an earlier release had written", [])
        return
    witness.sign_commits(keeper.folder, keeper.key())
    with writing(database, keeper) as s:
        audit.cover_new_tables(s)


def _tell(keeper: Keeper, last: AuditEvent, *, known: bool) -> None:
    """Let the witness and the system's log know the last event, the former if all before is."""
    if known:
        witness.advance(keeper.folder, keeper.key(), last.seq, last.hash)
    place = keeper.folder.parent
    system_log.send(f"audit {place} event {last.seq} {last.hash} {last.action} by {last.actor}")
