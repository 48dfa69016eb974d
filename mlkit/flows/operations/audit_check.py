"""Find changes and losses that bypassed the audit trail; ``seal`` accepts them with a reason.

Checked are: the hash chain of events with the project's key, its end against the witness in
``.mlkit/`` and the backups, the covered rows against the present ones, and the last commit number.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

import msgspec

from mlkit.errors import CheckFailedError, DamagedError, InvalidInputError, MlkitError
from mlkit.flows.operations import backup
from mlkit.project import Project, Session
from mlkit.store import audit, commits, covers, definitions, deployments
from mlkit.store.audit import AuditEvent
from mlkit.store.dialects import append_only
from mlkit.store.disk import archive, witness
from mlkit.store.disk.witness import Witness

ADVICE = (
    "find out who wrote to the database (mlkit backup verify shows a sound one); if it is right as "
    "it is: mlkit audit seal --reason WHY"
)


class Verified(msgspec.Struct, frozen=True):
    """The last event of a sound audit trail."""

    events: int
    hash: str
    sealed_from: int
    commits: int | None


def faults(project: Project) -> list[str]:
    """Return the faults, each in a sentence; none for a sound database."""
    try:
        known = witness.read(project.state_dir, project.key)
    except DamagedError as error:
        return [str(error)]
    if known is None:
        return [f"there is no witness of the audit trail ({project.state_dir / witness.FILE})"]
    # read before the snapshot, else they include later writes of other processes
    counted, made = _commits(project), _manifests(project)
    with project.read() as s:
        found = list(_chain(s, project, known))
        # only an intact chain can be compared with rows
        found = found or [*_lost(s, project, counted), *_backups(s, made, known), *_rows(s)]
        return [*found, *append_only.faults(s), *definitions.faults(s)]


def verify(project: Project, expected: str | None = None) -> Verified:
    """Check the audit trail; raises CheckFailedError with all faults.

    ``expected`` is ``NUMBER:HASH`` of an event, as in the system log.
    """
    found = faults(project)
    with project.read() as s:
        if expected is not None and not audit.holds(s, *_event(expected)):
            found.append(f"event {expected} is not in the audit trail")
        last = audit.last_event(s)
    if found:
        raise CheckFailedError(f"{'; '.join(found)}: {ADVICE}", {"faults": found})
    known = witness.read(project.state_dir, project.key)
    if last is not None and known is not None and known.seq < last.seq:
        witness.advance(project.state_dir, project.key, last.seq, last.hash)
    return Verified(
        events=last.seq if last else 0,
        hash=last.hash if last else audit.GENESIS,
        sealed_from=known.sealed_from if known else 0,
        commits=_commits(project),
    )


def _commits(project: Project) -> int | None:
    if not project.database.is_sqlite:
        return None
    return witness.commits(project.state_dir, project.key)


def refuse(project: Project) -> None:
    """Raise DamagedError if there are faults, so that such a database is not served."""
    found = faults(project)
    if found:
        more = f" (and {len(found) - 1} more: mlkit doctor)" if len(found) > 1 else ""
        raise DamagedError(f"{found[0]}{more}; {ADVICE}")


def seal(project: Project, reason: str) -> Verified:
    """Accept the database as it is, and record its faults in the trail.

    Raises InvalidInputError without a reason.
    """
    if not reason.strip():
        raise InvalidInputError("say why the database is right as it is: --reason WHY")
    project.seal(reason, faults(project))
    return verify(project)


def _chain(s: Session, project: Project, known: Witness) -> Iterator[str]:
    broken = audit.first_break(s, project.key, known.sealed_from)
    if broken is not None:
        yield (
            f"event {broken} does not follow from the one before: rows of the audit trail were "
            "edited, removed or added"
        )
    last = audit.last_event(s)
    if (last.seq if last else 0) < known.seq:
        yield (
            f"the audit trail ends at event {last.seq if last else 0}, and event {known.seq} was "
            "there: an older database was put back, or commits were lost"
        )
    elif not audit.holds(s, known.seq, known.hash):
        yield f"event {known.seq} is another one than was witnessed: the trail was rewritten"


def _lost(s: Session, project: Project, counted: int | None) -> Iterator[str]:
    if not project.database.is_sqlite:
        return
    if counted is None:
        file = project.state_dir / witness.COMMITS
        yield f"{file} has no number of the last commit under this project's key: it was changed"
        return
    missing = commits.lost(s, counted)
    if missing:
        yield (
            f"{missing} commits to the database are gone that had been made: its write-ahead log "
            "was cut or damaged, or an older database was put back"
        )


def _backups(s: Session, made: dict[str, archive.Manifest], known: Witness) -> Iterator[str]:
    """Compare the trail with the backups made since it was sealed."""
    sealed = s.get(AuditEvent, known.sealed_from)
    for name, manifest in made.items():
        if sealed is not None and manifest.created_at < sealed.at:
            continue
        if manifest.audit_seq and not audit.holds(s, manifest.audit_seq, manifest.audit_hash):
            yield (
                f"event {manifest.audit_seq} of the backup {name} is not in the audit trail: "
                "an older database was put back, or the trail was rewritten"
            )
            return


def _manifests(project: Project) -> dict[str, archive.Manifest]:
    """Return the manifests of the backups by name, newest first."""
    found = {}
    for file in backup.list_backups(project):
        with suppress(MlkitError, OSError):  # no readable backup; `backup verify` reports those
            found[file.name] = archive.manifest(file)
    return found


def _rows(s: Session) -> Iterator[str]:
    """Compare every covered row with the last event about it."""
    said: dict[str, str | None] = {}
    for each in audit.events(s):
        said.update(each.covers or {})
    there = dict(covers.every(s))
    for name in sorted(there.keys() - said.keys()):
        yield f"{_display_name(name)} is in no event of the audit trail: somebody added it"
    for name, digest in said.items():
        if covers.is_covered(name) and there.get(name) != digest:
            what = "is gone" if name not in there else "is not as recorded: somebody edited it"
            yield f"{_display_name(name)} {what}"
    yield from _ends(s)


def _ends(s: Session) -> Iterator[str]:
    """Compare the end of each deployment with the start of the next one in its role."""
    following: dict[tuple[int, str], datetime] = {}
    for row in reversed(deployments.outline(s)):
        place = (row.model_id, row.role)
        if row.ended_at != following.get(place):
            yield f"deployment {row.id} did not end when the next one began: somebody edited it"
        following[place] = row.started_at


def _display_name(name: str) -> str:
    table, _, identifier = name.partition(":")
    return f"{table.replace('_', ' ')} {identifier}"


def _event(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise InvalidInputError(f"'{text}' is no event; write NUMBER:HASH")
    return int(number), digest
