"""Verify every byte of a backup, and restore it to an empty folder."""

import shutil
from collections.abc import Collection
from datetime import datetime
from glob import escape
from itertools import count
from pathlib import Path
from tempfile import gettempdir

import msgspec

from mlkit import names
from mlkit.errors import BusyError, CheckFailedError, ConflictError, MlkitError
from mlkit.flows.data import named_files
from mlkit.flows.erasure import since
from mlkit.flows.operations import backup
from mlkit.layout import DATABASE_FILE, SETTINGS_FILE
from mlkit.project import Project, leave_unsealed, locate_project, upgrade
from mlkit.store import audit, schema
from mlkit.store.dialects import soundness
from mlkit.store.dialects.database_url import sqlite_url
from mlkit.store.disk import archive, failpoints, locks, modes, scratch_folders
from mlkit.store.disk.archive import Manifest
from mlkit.store.disk.witness import Witness

ROOM = "mlkit-verify-"  # in the temporary folder
_KEY = ".mlkit/key"
_BEFORE = ".before-restore-"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a sound backup."""

    file: Path
    mlkit: str
    created_at: datetime
    schema: str
    members: int
    size_bytes: int
    last_prediction_seq: int
    audit_seq: int


class Restored(msgspec.Struct, frozen=True):
    """A restored project, and the new path of the project that it replaced.

    ``to_erase`` are datasets with rows that were erased since the backup, None if that is unknown.
    """

    project: Path
    kept: Path | None
    backup: Verified
    to_erase: tuple[str, ...] | None = ()


def verify(file: Path) -> Verified:
    """Check every digest, the database and its audit trail; raises CheckFailedError.

    The database is unpacked into a temporary folder (``TMPDIR``) for its checks.
    """
    with scratch_folders.create(Path(gettempdir()), ROOM) as folder:
        return _unpack(file, folder / "project", only=(DATABASE_FILE, SETTINGS_FILE, _KEY))


def restore(file: Path, target: Path, *, replace: bool = False) -> Restored:
    """Restore ``file`` as the project ``target``, atomically.

    With ``replace`` an existing project is kept beside it. Raises ConflictError for a folder that
    is not empty, BusyError while it is in use. Erasures of that project since the backup are
    recorded as unfinished in the restored one; the audit trail records all of this.
    """
    names.check_file(file)
    target = names.check_folder(target.resolve())
    scratch_folders.settle(target)
    occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if occupied and not replace:
        raise ConflictError(
            f"{target} is not empty; name an empty folder, or keep what is there beside the "
            "restored project with --replace"
        )
    if occupied:
        refuse_busy(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folders.beside(target, busy=f"another process is restoring {target}") as unpacked:
        verified = _unpack(file, unpacked)
        before = target if occupied else _kept(target)
        to_erase = _carry_erasures(before, unpacked) if before is not None else ()
        _record(unpacked, verified)
        modes.share_all(unpacked, like=target if occupied else target.parent)
        failpoints.reach("restore.unpacked")
        kept = _name_beside(target) if occupied else None
        scratch_folders.put(target, kept)
    return Restored(target, kept, verified, to_erase)


def refuse_busy(root: Path) -> None:
    """Raise BusyError if a server, daemon, job or command holds a lock of the project ``root``."""
    files = [*root.glob(".mlkit/locks/*"), *root.glob("log/journal/*.journal")]
    held = [file for file in files if locks.is_held(file)]
    if held:
        names = ", ".join(sorted({_holder(file) for file in held}))
        raise BusyError(f"{root} is in use ({names}); stop it first, then restore")


def _carry_erasures(old: Path, unpacked: Path) -> tuple[str, ...] | None:
    project = _unpacked_project(unpacked)
    try:
        carried = since.carry(old, project)
    finally:
        project.close()
    return carried.datasets if carried.readable else None


def _unpacked_project(folder: Path) -> Project:
    own = {"db.url": str(sqlite_url(folder / DATABASE_FILE))}
    return locate_project(folder, options=own, environment={})


def _holder(file: Path) -> str:
    return "serve" if file.suffix == ".journal" else file.name


def _name_beside(target: Path) -> Path:
    """Return the first free name for what ``target`` holds now."""
    names = (target.with_name(f"{target.name}{_BEFORE}{n}") for n in count(1))
    return next(name for name in names if not name.exists())


def _kept(target: Path) -> Path | None:
    """Return the path to which a killed restore moved the previous project at ``target``.

    Only the same user can finish that restore, and others may restore meanwhile.
    """
    found = target.parent.glob(f"{escape(target.name)}{_BEFORE}*")
    return max(found, key=lambda folder: folder.lstat().st_ctime_ns, default=None)


def _record(unpacked: Path, verified: Verified) -> None:
    """Upgrade the project to this release and record the restore in its audit trail."""
    project = _unpacked_project(unpacked)
    try:
        upgrade(project)
        with project.write() as s:
            audit.record(
                s,
                project.now(),
                actor=project.actor,
                action="restore",
                subject="project",
                details={
                    "backup": verified.file.name,
                    "created_at": verified.created_at.isoformat(),
                    "audit_seq": verified.audit_seq,
                },
            )
    finally:
        project.close()


def _unpack(file: Path, folder: Path, *, only: Collection[str] = ()) -> Verified:
    _refuse_full(file, folder.parent)
    folder.mkdir(mode=0o700)
    manifest = archive.read(file, folder, only)
    schema.refuse_newer(manifest.schema)
    for name in ("log", "backups", ".mlkit"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    if not (folder / DATABASE_FILE).is_file():
        raise _damaged(file, f"it holds no {DATABASE_FILE}")
    project = _unpacked_project(folder)
    try:
        _check_database(project, manifest, file)
        _begin_witness(project, manifest)
    finally:
        project.close()
    return Verified(
        file=file,
        mlkit=manifest.mlkit,
        created_at=manifest.created_at,
        schema=manifest.schema,
        members=len(manifest.members),
        size_bytes=file.stat().st_size,
        last_prediction_seq=manifest.last_prediction_seq,
        audit_seq=manifest.audit_seq,
    )


def _begin_witness(project: Project, manifest: Manifest) -> None:
    """Write the witness of the restored audit trail; first cover a trail of an older release."""
    if manifest.schema < schema.COVERED_SINCE:
        leave_unsealed(project)
    if manifest.audit_sealed_from is not None:
        sealed_from = manifest.audit_sealed_from
        project.begin_trail(Witness(manifest.audit_seq, manifest.audit_hash, sealed_from))


def _check_database(project: Project, manifest: Manifest, file: Path) -> None:
    if schema.revision(project.database) != manifest.schema:
        raise _damaged(file, "its database is not at the schema of its manifest")
    with project.database.read() as s:
        found = soundness.damage(s)
    if found is not None:
        raise _damaged(file, f"its database says: {found}")
    schema.upgrade(project.database)  # only the copy: this release has to read its rows
    with project.database.read() as s:
        sealed_from = manifest.audit_sealed_from
        broken = audit.first_break(s, None if sealed_from is None else project.key, sealed_from)
        if broken is not None:
            raise _damaged(file, f"its audit trail breaks at event {broken}")
        if backup.last_audit(s) != (manifest.audit_seq, manifest.audit_hash):
            raise _damaged(file, "its audit trail does not end where the manifest says")
        missing = named_files.of(s, project).keys() - {m.name for m in manifest.members}
        if missing:
            raise _damaged(file, f"its database names {min(missing)}, which is not in it")


def _refuse_full(file: Path, folder: Path) -> None:
    needed = file.stat().st_size if file.is_file() else 0
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise MlkitError(
            f"{folder} has {free >> 20} MiB free and the backup needs {needed >> 20}; "
            "make room, or set TMPDIR to another disk for a verification"
        )


def _damaged(file: Path, what: str) -> CheckFailedError:
    return CheckFailedError(f"the backup {file} is damaged: {what}; use another one")
