"""The audit trail: an append-only hash chain of events, each with an HMAC under the project's key.

An event covers rows: it holds their digests (``covers``). Comparing these with the rows, and the
chain with the witness outside of the database, is in ``flows.operations.audit_check``.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, event, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.errors import DamagedError
from mlkit.store import covers
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.disk.witness import Witness

GENESIS = "0" * 64
SEAL = "seal"
_CHANGE = "change"
_TRAIL = "mlkit_trail"  # in ``Session.info``


class AuditEvent(Base):
    """Who did what to which subject; its keyed hash includes the hash of the event before."""

    __tablename__ = "audit_event"

    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    covers: Mapped[dict[str, str | None] | None] = mapped_column(JSON(none_as_null=True))

    def content(self) -> bytes:
        """Return the bytes that are hashed: the previous hash and the fields of this event."""
        content = [
            self.previous, self.seq, self.at.isoformat(), self.actor, self.action, self.subject,
            self.details,
        ]  # fmt: skip
        if self.covers is not None:
            content.append(self.covers)
        return json.dumps(content, sort_keys=True, default=repr).encode()  # of bytes, if edited

    def digest(self, key: bytes) -> str:
        """Return the HMAC-SHA256 of the content under a key derived from the project's."""
        return hmac.digest(_derived(key), self.content(), "sha256").hex()

    def plain_digest(self) -> str:
        """Return the hash without a key, which events before the seal have."""
        return hashlib.sha256(self.content()).hexdigest()


@dataclass
class Trail:
    """What a session needs to append events, and the rows changed since the last event.

    ``is_known`` tells whether the chain contains the witnessed event.
    """

    key: Callable[[], bytes]
    witnessed: Callable[[], Witness | None]
    changed: dict[str, None] = field(default_factory=dict)
    last: AuditEvent | None = None
    is_known: bool = False


def attach(s: Session, trail: Trail) -> None:
    """Enable ``record`` in the session, and track the rows that it changes."""
    s.info[_TRAIL] = trail

    def note(session: Session, _context: object) -> None:
        rows = (*session.new, *session.dirty, *session.deleted)
        trail.changed.update(dict.fromkeys(filter(None, map(covers.name_of, rows))))

    event.listen(s, "after_flush", note)


def touch(s: Session, row: Base) -> None:
    """Let the next event cover a row that was changed by a statement, not through the session."""
    trail: Trail = s.info[_TRAIL]
    if (name := covers.name_of(row)) is not None:
        trail.changed[name] = None


def record(
    s: Session, at: datetime, *, actor: str, action: str, subject: str, details: dict[str, Any]
) -> AuditEvent:
    """Append an event that covers the rows changed in the session since the last event.

    The caller holds the write lock, so the chain cannot fork.
    """
    trail: Trail = s.info[_TRAIL]
    s.flush()
    last = last_event(s)
    if trail.last is None:
        trail.is_known = _is_known(s, trail)
    added = AuditEvent(
        seq=(last.seq if last else 0) + 1,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        details=details,
        previous=last.hash if last else GENESIS,
        covers={name: covers.digest(s, name) for name in trail.changed} or None,
    )
    added.hash = added.digest(trail.key())
    s.add(added)
    s.flush()
    trail.changed.clear()
    trail.last = added
    return added


def close(s: Session, now: Callable[[], datetime], actor: Callable[[], str]) -> None:
    """Append an event for rows that were changed after the last event, if there are any."""
    trail: Trail = s.info[_TRAIL]
    s.flush()
    if trail.changed:
        names = ", ".join(sorted(trail.changed))
        record(s, now(), actor=actor(), action=_CHANGE, subject=names[:200], details={})


def last_event(s: Session) -> AuditEvent | None:
    """Return the newest event, or None."""
    return s.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(1)).first()


def events(s: Session, first: int = 1) -> Iterator[AuditEvent]:
    """Yield the events from number ``first`` on."""
    query = select(AuditEvent).where(AuditEvent.seq >= first).order_by(AuditEvent.seq)
    yield from s.scalars(query.execution_options(yield_per=500))


def of_action(s: Session, action: str) -> list[AuditEvent]:
    """Return the events with this action."""
    return list(s.scalars(select(AuditEvent).where(AuditEvent.action == action)))


def first_break(s: Session, key: bytes | None = None, sealed_from: int | None = None) -> int | None:
    """Return the seq of the first event that breaks the hash chain, or None.

    From ``sealed_from`` on the hashes must be keyed. If that event is a seal, all events before it
    must have the digest in the seal; otherwise they may have plain hashes. Key and ``sealed_from``
    default to those of the project's session; without a key keyed hashes are not verified.
    """
    known: Trail | None = s.info.get(_TRAIL)
    if key is None and known is not None:
        witnessed = known.witnessed()
        key, sealed_from = known.key(), witnessed.sealed_from if witnessed else None
    sealed = None if sealed_from is None else s.get(AuditEvent, sealed_from)
    start, previous = 1, GENESIS
    if sealed is not None and sealed.action == SEAL:
        if chain_digest(s, sealed.seq) != (sealed.details["events"], sealed.details["sha256"]):
            return sealed.seq
        start, previous = sealed.seq, sealed.previous
    for seq, each in enumerate(events(s, start), start=start):
        if each.seq != seq or each.previous != previous:
            return seq
        if sealed_from is None and each.hash != each.plain_digest():
            sealed_from = seq
        is_keyed = sealed_from is not None and seq >= sealed_from
        if is_keyed and key is not None and each.digest(key) != each.hash:
            return seq
        if not is_keyed and each.hash != each.plain_digest():
            return seq
        previous = each.hash
    return None


def vouches(s: Session, row: Base) -> bool:
    """Tell whether a row has the digest in the last event that covers it, and its hash is valid."""
    trail: Trail = s.info[_TRAIL]
    name = str(covers.name_of(row))
    query = select(AuditEvent).where(AuditEvent.covers.is_not(None))
    for each in s.scalars(query.order_by(AuditEvent.seq.desc())):
        if name in (each.covers or {}):
            covered = (each.covers or {})[name]
            return each.digest(trail.key()) == each.hash and covered == covers.digest(s, name)
    return False


def seal(s: Session, at: datetime, *, actor: str, reason: str, faults: list[str]) -> AuditEvent:
    """Append an event that covers the present state of every row and of every earlier event."""
    trail: Trail = s.info[_TRAIL]
    trail.changed.update(dict.fromkeys(name for name, _ in covers.every(s)))
    count, digest = chain_digest(s, None)
    details = {"reason": reason, "events": count, "sha256": digest, "faults": faults[:20]}
    return record(s, at, actor=actor, action=SEAL, subject="project", details=details)


def cover_new_tables(s: Session) -> None:
    """Let the next event cover every row of the tables of which no event covers a row."""
    trail: Trail = s.info[_TRAIL]
    named = {covers.table_of(name) for each in events(s) for name in each.covers or {}}
    new = (name for name, _ in covers.every(s) if covers.table_of(name) not in named)
    trail.changed.update(dict.fromkeys(new))


def chain_digest(s: Session, before: int | None) -> tuple[int, str]:
    """Return the number of events before event ``before`` (None: all), and their digest."""
    digest, count = hashlib.sha256(), 0
    for each in events(s):
        if before is not None and each.seq >= before:
            break
        digest.update(each.content() + each.hash.encode())
        count += 1
    return count, digest.hexdigest()


def _is_known(s: Session, trail: Trail) -> bool:
    try:
        witnessed = trail.witnessed()
    except DamagedError:  # reported by the audit check; new events are recorded nevertheless
        return False
    return witnessed is not None and holds(s, witnessed.seq, witnessed.hash)


def holds(s: Session, seq: int, digest: str) -> bool:
    """Tell whether event ``seq`` of the chain has this hash; event 0 stands for an empty chain."""
    if seq == 0:
        return digest == GENESIS
    return s.scalar(select(AuditEvent.hash).where(AuditEvent.seq == seq)) == digest


def _derived(key: bytes) -> bytes:
    if not key:
        raise DamagedError("the signing key is empty; put it back from a backup")
    return hmac.digest(key, b"mlkit audit trail", "sha256")


def newest(s: Session) -> datetime | None:
    """Return the latest time of any event, None without events."""
    return s.scalar(select(func.max(AuditEvent.at)))
