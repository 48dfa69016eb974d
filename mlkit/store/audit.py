"""The audit trail: an append-only chain of events, each under the project's key.

An event names the rows that it is about with their digests (``covers``). What compares them with
the rows, and the chain with the witness outside of the database, is in ``flows.audit_check``.
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
    """Who did what to which subject, and the keyed hash of everything before."""

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
        """Return what the hash is about: the previous hash and this event."""
        content = [
            self.previous, self.seq, self.at.isoformat(), self.actor, self.action, self.subject,
            self.details,
        ]  # fmt: skip
        if self.covers is not None:
            content.append(self.covers)
        return json.dumps(content, sort_keys=True, default=repr).encode()  # bytes: edited

    def digest(self, key: bytes) -> str:
        """Return the HMAC-SHA256 of the content under a key derived from the project's."""
        return hmac.digest(_derived(key), self.content(), "sha256").hex()

    def plain_digest(self) -> str:
        """Return the hash as events before the seal have it: anybody can compute it."""
        return hashlib.sha256(self.content()).hexdigest()


@dataclass
class Trail:
    """What a session needs to append events, and what it has changed since the last one.

    ``is_known`` tells whether the chain holds what was witnessed of it before this session.
    """

    key: Callable[[], bytes]
    witnessed: Callable[[], Witness | None]
    changed: dict[str, None] = field(default_factory=dict)
    last: AuditEvent | None = None
    is_known: bool = False


def attach(s: Session, trail: Trail) -> None:
    """Let ``record`` work in the session, and note the rows that it changes."""
    s.info[_TRAIL] = trail

    def note(session: Session, _context: object) -> None:
        rows = (*session.new, *session.dirty, *session.deleted)
        trail.changed.update(dict.fromkeys(filter(None, map(covers.name_of, rows))))

    event.listen(s, "after_flush", note)


def touch(s: Session, row: Base) -> None:
    """Let the next event cover a row that a statement has changed, and not the session."""
    trail: Trail = s.info[_TRAIL]
    if (name := covers.name_of(row)) is not None:
        trail.changed[name] = None


def record(
    s: Session, at: datetime, *, actor: str, action: str, subject: str, details: dict[str, Any]
) -> AuditEvent:
    """Append an event that covers what the session has changed since the last one.

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
    """Cover what was changed after the last event, or without any."""
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
    """Return the seq of the first event that does not follow from those before, or None.

    From ``sealed_from`` on the hashes must be keyed. If that is a seal, all before it must be what
    it sealed; else it may have plain hashes. Key and ``sealed_from`` are by default those that the
    project's session knows; without a key a keyed hash is taken as it is.
    """
    known: Trail | None = s.info.get(_TRAIL)
    if key is None and known is not None:
        witnessed = known.witnessed()
        key, sealed_from = known.key(), witnessed.sealed_from if witnessed else None
    sealed = None if sealed_from is None else s.get(AuditEvent, sealed_from)
    start, previous = 1, GENESIS
    if sealed is not None and sealed.action == SEAL:
        if as_it_stands(s, sealed.seq) != (sealed.details["events"], sealed.details["sha256"]):
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
    """Tell whether a row is as the last event about it says, and that event has the key's hash."""
    trail: Trail = s.info[_TRAIL]
    name = str(covers.name_of(row))
    query = select(AuditEvent).where(AuditEvent.covers.is_not(None))
    for each in s.scalars(query.order_by(AuditEvent.seq.desc())):
        if name in (each.covers or {}):
            said = (each.covers or {})[name]
            return each.digest(trail.key()) == each.hash and said == covers.digest(s, name)
    return False


def seal(s: Session, at: datetime, *, actor: str, reason: str, faults: list[str]) -> AuditEvent:
    """Append an event that covers every row and every event before it as they stand now."""
    trail: Trail = s.info[_TRAIL]
    trail.changed.update(dict.fromkeys(name for name, _ in covers.every(s)))
    count, digest = as_it_stands(s, None)
    details = {"reason": reason, "events": count, "sha256": digest, "faults": faults[:20]}
    return record(s, at, actor=actor, action=SEAL, subject="project", details=details)


def cover_new_tables(s: Session) -> None:
    """Let the next event cover every row of the tables that no event has named a row of."""
    trail: Trail = s.info[_TRAIL]
    named = {covers.table_of(name) for each in events(s) for name in each.covers or {}}
    new = (name for name, _ in covers.every(s) if covers.table_of(name) not in named)
    trail.changed.update(dict.fromkeys(new))


def as_it_stands(s: Session, before: int | None) -> tuple[int, str]:
    """Return the number of the events before number ``before``, and the digest of all of them."""
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
    except DamagedError:  # the check tells of it; what happens now goes on record all the same
        return False
    return witnessed is not None and holds(s, witnessed.seq, witnessed.hash)


def holds(s: Session, seq: int, digest: str) -> bool:
    """Tell whether event ``seq`` of the chain has this hash; number 0 is the start of all."""
    if seq == 0:
        return digest == GENESIS
    return s.scalar(select(AuditEvent.hash).where(AuditEvent.seq == seq)) == digest


def _derived(key: bytes) -> bytes:
    if not key:
        raise DamagedError("the signing key is empty; put it back from a backup")
    return hmac.digest(key, b"mlkit audit trail", "sha256")


def newest(s: Session) -> datetime | None:
    """Return the latest time that an event has, whichever event that is."""
    return s.scalar(select(func.max(AuditEvent.at)))
