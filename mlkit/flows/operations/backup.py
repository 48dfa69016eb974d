"""Back up a project to one file: the database and files it names, the user's files, the key."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from mlkit import __version__, names
from mlkit.errors import BusyError, ConflictError, DamagedError, InvalidInputError
from mlkit.flows.data import named_files, version_files
from mlkit.flows.log import imports
from mlkit.layout import DATABASE_FILE, SETTINGS_FILE
from mlkit.progress import Progress
from mlkit.project import BEFORE_UPGRADE, Project, Session
from mlkit.store import audit, schema, traffic
from mlkit.store.dialects import soundness
from mlkit.store.dialects.database_url import sqlite_url
from mlkit.store.disk import archive, failpoints, modes, witness
from mlkit.store.disk.archive import Content, Manifest
from mlkit.store.disk.blobs import sync, write_durably
from mlkit.store.engine import Database

SUFFIX = ".mlkit.tar"
_BUSY = "another backup of this project is being made, or files are being deleted; try again"


class Created(msgspec.Struct, frozen=True):
    """A finished backup."""

    file: Path
    size_bytes: int
    members: int
    created_at: datetime
    schema: str
    last_prediction_seq: int


def create(
    project: Project, file: Path | None = None, *, progress: Progress | None = None
) -> Created:
    """Write a backup to ``file`` (default: a dated one in ``backups/``), atomically.

    It includes every prediction acknowledged before; servers and jobs keep running. Raises
    ConflictError if ``file`` exists, DamagedError if the project is not sound.
    """
    say = progress or (lambda _text: None)
    with project.lock(version_files.BACKUP, busy=_BUSY):
        target = file or _default_file(project)
        _refuse_target(target)
        _sweep(project)
        imports.sync(project)
        say("copying the database")
        snapshot = project.backups_dir / f".{target.name}.sqlite.part"
        try:
            schema.snapshot(project.database, snapshot)
            failpoints.reach("backup.snapshot")
            manifest, contents = _describe(project, snapshot, say)
            _write(project, target, manifest, contents, say)
        finally:
            snapshot.unlink(missing_ok=True)
    return Created(
        file=target.resolve(),
        size_bytes=target.stat().st_size,
        members=len(manifest.members),
        created_at=manifest.created_at,
        schema=manifest.schema,
        last_prediction_seq=manifest.last_prediction_seq,
    )


def rotate(project: Project) -> str:
    """Write a backup to ``backups/``, keep the newest ``backup.keep``, and return a summary.

    Copies of the database made by upgrades count as backups and are deleted by age with them.
    """
    if not project.database.is_sqlite:
        return "left to the tools of the database, which is not SQLite"
    created = create(project)
    old = list_backups(project)[project.settings.backup.keep :]
    if old:
        since = old[0].stat().st_mtime
        upgraded = project.backups_dir.glob(f"{BEFORE_UPGRADE}*")
        old += [file for file in upgraded if file.stat().st_mtime <= since]
    for file in old:
        file.unlink()
    return (
        f"wrote {created.file.name} ({created.size_bytes / 1e6:.1f} MB, {created.members} files), "
        f"deleted {len(old)} older"
    )


def list_backups(project: Project) -> list[Path]:
    """Return the backups in ``backups/``, newest first."""
    found = project.backups_dir.glob(f"*{SUFFIX}")
    return sorted(found, key=lambda file: (file.stat().st_mtime, file.name), reverse=True)


def last_audit(s: Session) -> tuple[int, str]:
    """Return seq and hash of the last audit event, which authenticates all earlier ones."""
    last = audit.last_event(s)
    return (last.seq, last.hash) if last is not None else (0, audit.GENESIS)


def _default_file(project: Project) -> Path:
    modes.make_folder(project.backups_dir)
    return project.backups_dir / f"{project.now():%Y%m%dT%H%M%SZ}{SUFFIX}"


def _refuse_target(file: Path) -> None:
    names.check_file(file)
    if file.exists():
        raise ConflictError(f"{file} exists already; name a new file for the backup")
    if not file.parent.is_dir():
        raise InvalidInputError(f"there is no folder {file.parent} to write the backup to")


def sweep(project: Project) -> int:
    """Delete files of killed backups and return how many; none while a backup is being made.

    On a read-only disk nothing is deleted.
    """
    if not os.access(project.state_dir, os.W_OK):
        return 0
    with suppress(BusyError), project.lock(version_files.BACKUP, busy=_BUSY):
        return _sweep(project)
    return 0


def _sweep(project: Project) -> int:
    """Delete files of killed backups; the lock is held, so no other process writes them."""
    modes.make_folder(project.backups_dir)
    found = set(project.backups_dir.glob(".*.part*"))
    elsewhere = _elsewhere(project)
    if elsewhere.is_file():
        found |= {part for part in [Path(elsewhere.read_text())] if part.exists()}
    for part in found:
        part.unlink()
    elsewhere.unlink(missing_ok=True)
    return len(found)


def _elsewhere(project: Project) -> Path:
    """Return the file that records the path of this user's unfinished backup.

    Each user of a project has one, because others may have no access to that folder.
    """
    return project.state_dir / f"backup.{os.geteuid()}.part"


def _describe(
    project: Project, snapshot: Path, say: Progress
) -> tuple[Manifest, dict[str, Content]]:
    database = Database(sqlite_url(snapshot))
    try:
        with database.read() as s:
            found = soundness.damage(s)
            if found is not None:
                raise DamagedError(
                    f"{project.database.location} is damaged: {found}; no backup was made, "
                    "restore an older one (see: mlkit backup restore)"
                )
            blobs = named_files.of(s, project)
            last_seq = traffic.last_seq(s)
            audit_seq, audit_hash = last_audit(s)
    finally:
        database.dispose()  # closes the file before its bytes are hashed
    contents: dict[str, Content] = {DATABASE_FILE: snapshot, **dict(_own_files(project))}
    say("hashing the files")
    members = [archive.describe(name, content) for name, content in contents.items()]
    for name, digest in blobs.items():
        path = project.root / name
        if not path.is_file():
            raise DamagedError(f"{path} is missing, so no backup was made (see: mlkit doctor)")
        contents[name] = path
        members.append(archive.Member(name, path.stat().st_size, digest))
    has_key = (project.state_dir / "key").is_file()
    known = witness.read(project.state_dir, project.key) if has_key else None
    manifest = Manifest(
        format=archive.FORMAT,
        mlkit=__version__,
        created_at=project.now(),
        schema=schema.head(),
        last_prediction_seq=last_seq,
        audit_seq=audit_seq,
        audit_hash=audit_hash,
        audit_sealed_from=known.sealed_from if known else None,
        members=tuple(members),
    )
    return manifest, contents


def _own_files(project: Project) -> Iterator[tuple[str, Content]]:
    """Yield the user's files, and the key, without which no model loads."""
    root = project.root
    files = [root / SETTINGS_FILE, root / ".gitignore", project.state_dir / "key"]
    files += sorted(project.schemas_dir.glob("*.yaml"))
    files += sorted(root.glob("*.py"))
    for package in sorted(root.glob("*/__init__.py")):
        files += sorted(
            file for file in package.parent.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        )  # fmt: skip
    for file in files:
        if file.is_file():
            yield file.relative_to(root).as_posix(), file.read_bytes()


def _write(
    project: Project,
    target: Path,
    manifest: Manifest,
    contents: dict[str, Content],
    say: Progress,
) -> None:
    say(f"writing {len(manifest.members)} files")
    part = target.with_name(f".{target.name}.part").absolute()
    part.unlink(missing_ok=True)
    write_durably(_elsewhere(project), str(part).encode())
    try:
        archive.write(part, manifest, contents)
        failpoints.reach("backup.written")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        _elsewhere(project).unlink()
    sync(target.parent)
