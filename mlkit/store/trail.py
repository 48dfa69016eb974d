"""Sessions whose writes the audit trail covers, so that edits and losses can be detected later."""

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
class TrailContext:
    """The actor, key and clock for the audit trail, and the folder of the witness."""

    folder: Path
    key: Callable[[], bytes]
    actor: Callable[[], str]
    now: Callable[[], datetime]

    def witnessed(self) -> Witness | None:
        """Return the witness of the audit trail, None if there is none."""
        return witness.read(self.folder, self.key())

    def commits(self) -> int | None:
        """Return the number of the last commit by the witness, None if it is unknown."""
        with suppress(DamagedError):  # predictions are logged even without the key
            return witness.commits(self.folder, self.key())
        return None

    def note_commit(self, number: int) -> None:
        """Record the number of the last commit in the witness."""
        with suppress(DamagedError):
            witness.note_commit(self.folder, self.key(), number)


@contextmanager
def reading(database: Database, context: TrailContext) -> Iterator[Session]:
    """Yield a session on one snapshot, with access to the audit trail."""
    with database.read() as s:
        audit.attach(s, audit.Trail(context.key, context.witnessed))
        yield s


@contextmanager
def writing(database: Database, context: TrailContext) -> Iterator[Session]:
    """Yield a session that commits at the end; the witness is updated after the commit."""
    trail = audit.Trail(context.key, context.witnessed)
    number = None
    with database.write() as s:
        audit.attach(s, trail)
        before = commits.changes(s) if database.is_sqlite else 0
        yield s
        audit.close(s, context.now, context.actor)
        if database.is_sqlite and commits.changes(s) != before:
            number = commits.count(s, context.commits())
    if number is not None:
        context.note_commit(number)
    if trail.last is not None:
        _publish(context, trail.last, known=trail.is_known)


def seal(database: Database, context: TrailContext, reason: str, faults: list[str]) -> None:
    """Cover the present content of the database, and reset the witness to it.

    Only triggers and indexes are repaired first, so that the covered rows are the stored ones.
    """
    with writing(database, context) as s:
        append_only.mend(s)
        definitions.mend(s)
        sealed = audit.seal(s, context.now(), actor=context.actor(), reason=reason, faults=faults)
        if database.is_sqlite:
            commits.forgive(s, context.commits())
    begin(database, context, Witness(sealed.seq, sealed.hash, sealed.seq))


def begin(database: Database, context: TrailContext, known: Witness) -> None:
    """Replace the witness by ``known`` and the last commit."""
    if database.is_sqlite:
        with database.read() as s:
            witness.begin_commits(context.folder, context.key(), commits.number(s))
    witness.write(context.folder, context.key(), known)


def cover(database: Database, context: TrailContext) -> None:
    """Cover the rows that an earlier release wrote without covering them.

    All rows if there is no witness yet. Otherwise only tables of which no event covers a row, so
    that an edited database cannot be passed off as an old one.
    """
    try:
        sealed = context.witnessed() is not None
    except DamagedError:  # reported by the audit check
        return
    if not sealed:
        seal(database, context, "what an earlier release had written", [])
        return
    witness.sign_commits(context.folder, context.key())
    with writing(database, context) as s:
        audit.cover_new_tables(s)


def _publish(context: TrailContext, last: AuditEvent, *, known: bool) -> None:
    """Send the last event to the system log, and advance the witness if the chain is ``known``."""
    if known:
        witness.advance(context.folder, context.key(), last.seq, last.hash)
    place = context.folder.parent
    system_log.send(f"audit {place} event {last.seq} {last.hash} {last.action} by {last.actor}")
