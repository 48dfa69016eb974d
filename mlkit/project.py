"""The Project, which is passed everywhere: settings, database, clock and paths."""

import getpass
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session as Session  # for layers that must not import sqlalchemy

from mlkit import environment_file
from mlkit.errors import ConflictError, DamagedError, InvalidInputError, NotFoundError
from mlkit.layout import DATABASE_FILE, SETTINGS_FILE, STATE_FOLDER, Layout
from mlkit.settings import sources
from mlkit.settings.table import Settings
from mlkit.store import schema, trail
from mlkit.store.dialects import database_url
from mlkit.store.dialects.database_url import sqlite_url
from mlkit.store.dialects.sqlite import refuse_network_file_system
from mlkit.store.disk import locks, modes, plain_files, safe_directories, scratch_folders, witness
from mlkit.store.disk.blobs import write_durably
from mlkit.store.disk.witness import Witness
from mlkit.store.engine import Database

BEFORE_UPGRADE = "before-upgrade-from-"
_KEY_BYTES = 32
_GROUP_UMASK = 0o007
_UNSEALED = "unsealed"  # marker file between an upgrade and the audit event that covers old rows


@dataclass(frozen=True)
class Project(Layout):
    """An open project folder; build it with ``open_project``."""

    settings: Settings
    database: Database
    clock_file: Path | None = None

    @property
    def key(self) -> bytes:
        """The secret that signs artifacts; raises DamagedError if it is missing."""
        file = self.state_dir / "key"
        try:
            key = bytes.fromhex(plain_files.read(file).decode().strip())
        except (FileNotFoundError, ValueError) as error:
            raise DamagedError(
                f"the signing key {file} is missing or damaged; without it no model is loaded: "
                "put it back from a backup (see: mlkit backup restore)"
            ) from error
        return key

    @property
    def actor(self) -> str:
        """Who acts, for the audit trail: ``MLKIT_ACTOR`` or user@host."""
        return os.environ.get("MLKIT_ACTOR") or f"{getpass.getuser()}@{socket.gethostname()}"

    def now(self) -> datetime:
        """Return the present time, aware and in UTC; all of mlkit takes the time from here."""
        if self.clock_file is not None:
            return datetime.fromisoformat(self.clock_file.read_text().strip())
        return datetime.now(UTC)

    def read(self) -> AbstractContextManager[Session]:
        """Open a session that reads one snapshot of the database."""
        return trail.reading(self.database, self._trail_context)

    def write(self) -> AbstractContextManager[Session]:
        """Open a session that holds the write lock and commits at the end."""
        return trail.writing(self.database, self._trail_context)

    @property
    def _trail_context(self) -> trail.TrailContext:
        return trail.TrailContext(self.state_dir, lambda: self.key, lambda: self.actor, self.now)

    def seal(self, reason: str, faults: list[str]) -> None:
        """Accept the present database: the audit trail covers all rows, the witness is reset."""
        trail.seal(self.database, self._trail_context, reason, faults)

    def begin_trail(self, known: Witness) -> None:
        """Replace the witness by one of the last event (``known``) and the last commit."""
        trail.begin(self.database, self._trail_context, known)

    def cover_older(self) -> None:
        """Let the audit trail cover the rows that an earlier release wrote without covering."""
        trail.cover(self.database, self._trail_context)

    @contextmanager
    def lock(self, name: str, *, busy: str) -> Iterator[None]:
        """Hold the exclusive lock ``name``; raises BusyError(busy) if it is taken."""
        with locks.exclusive(self.state_dir / "locks" / name, busy=busy):
            yield

    @contextmanager
    def share(self, name: str, *, busy: str) -> Iterator[None]:
        """Hold a shared lock ``name``; raises BusyError(busy) if it is held exclusively."""
        with locks.shared(self.state_dir / "locks" / name, busy=busy):
            yield

    def close(self) -> None:
        """Close the database connections of this process."""
        self.database.dispose()


def find_root(start: Path | None = None) -> Path:
    """Return the nearest folder from ``start`` upward with ``mlkit.toml``; raises NotFoundError."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise NotFoundError(
        f"no {SETTINGS_FILE} in {start} or above; make a project with: mlkit init DIR "
        "(or name one with --project DIR)"
    )


def open_project(
    path: Path | None = None,
    *,
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Project:
    """Open the project in ``path`` (default: ``MLKIT_PROJECT``, else the nearest one above here).

    An older database is backed up and upgraded; a newer one is refused. Raises MlkitError.
    """
    project = locate_project(path, options=options, environment=environment)
    refuse_missing_database(project)
    _upgrade_if_older(project)
    return project


def locate_project(
    path: Path | None = None,
    *,
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Project:
    """Return the project as ``open_project`` does, but without checking its database.

    For commands that must work when the database is old, damaged or missing (``doctor``, ``db``). A
    project that was found and not named is refused if another user could have written its code.
    """
    given = Path(environment["MLKIT_PROJECT"]) if "MLKIT_PROJECT" in environment else None
    named = path or given or _mounted(environment)
    if named is not None:
        scratch_folders.settle(named.absolute())
    if named is not None and not (named / SETTINGS_FILE).is_file():
        raise NotFoundError(f"{named} is not a project: it has no {SETTINGS_FILE}")
    root = named.resolve() if named is not None else find_root()
    if named is None:
        safe_directories.refuse(root, environment)
    if environment is os.environ:
        environment_file.load(root / STATE_FOLDER / "env", os.environ)
    project = _assemble(root, options or {}, environment)
    project.database.must_exist = True
    return project


def _mounted(environment: Mapping[str, str]) -> Path | None:
    """Return the project in the folder where Azure ML mounts a model, or one level below."""
    mount = environment.get("AZUREML_MODEL_DIR")
    if not mount:
        return None
    files = [Path(mount) / SETTINGS_FILE, *sorted(Path(mount).glob(f"*/{SETTINGS_FILE}"))]
    return next((file.parent for file in files if file.is_file()), None)


def refuse_missing_database(project: Project) -> None:
    """Raise NotFoundError if the SQLite file is missing: opening would create an empty one."""
    if project.database.is_sqlite and not Path(project.database.location).is_file():
        raise NotFoundError(
            f"{project.database.location} is missing; restore it (see: mlkit backup restore)"
        )


def create_project(root: Path, *, environment: Mapping[str, str] = os.environ) -> Project:
    """Create the database, key and folders of a new project, whose settings file exists."""
    if (root / DATABASE_FILE).exists():
        raise ConflictError(f"{root / DATABASE_FILE} exists already")
    project = _assemble(root.resolve(), {}, environment)
    for folder in (project.state_dir, project.schemas_dir, project.log_dir, project.backups_dir):
        modes.make_folder(folder)
    if not (project.state_dir / "key").exists():
        write_durably(project.state_dir / "key", secrets.token_hex(_KEY_BYTES).encode())
    if project.database.is_sqlite:  # SQLite would make it readable for all users
        os.close(modes.open_file(Path(project.database.location), os.O_RDWR | os.O_CREAT))
    schema.upgrade(project.database)
    project.begin_trail(witness.NOTHING)
    return project


def _assemble(root: Path, options: Mapping[str, object], environment: Mapping[str, str]) -> Project:
    settings = sources.load(root / SETTINGS_FILE, environment, options)
    if settings.project.group:
        os.umask(_GROUP_UMASK)  # files that libraries create are for the group too
    given = settings.db.url
    url = database_url.parse(given, root) if given else sqlite_url(root / DATABASE_FILE)
    if url.get_backend_name() == "sqlite":
        refuse_network_file_system(root)
    clock = environment.get("MLKIT_CLOCK")
    if clock is not None and not _holds_time(Path(clock)):
        raise InvalidInputError(f"MLKIT_CLOCK names {clock}, which is not a file with a time in it")
    return Project(
        root=root,
        settings=settings,
        database=Database(url, busy_timeout_s=settings.db.busy_timeout_s),
        clock_file=Path(clock) if clock else None,
    )


def _holds_time(clock: Path) -> bool:
    try:
        return datetime.fromisoformat(clock.read_text().strip()).tzinfo is not None
    except (OSError, ValueError):
        return False


def _upgrade_if_older(project: Project) -> None:
    found = schema.revision(project.database)
    schema.refuse_newer(found)
    if found is None and project.database.is_sqlite and schema.is_empty(project.database):
        raise NotFoundError(
            f"{project.database.location} is empty; restore it (see: mlkit backup restore), "
            "or begin with a new one: mlkit db upgrade"
        )
    if found == schema.head() and (project.database.is_read_only or not _can_be_sealed(project)):
        return
    if found != schema.head() and not project.database.is_sqlite:
        raise ConflictError(
            f"the database is at schema {found}, this program needs {schema.head()}; "
            "back it up, then run: mlkit db upgrade"
        )
    upgrade_with_backup(project)


def upgrade_with_backup(project: Project) -> None:
    """Upgrade the database; of a SQLite one, first take a snapshot in ``backups/``."""
    found = schema.revision(project.database)
    if project.database.is_read_only:
        raise ConflictError(
            f"the database is at schema {found}, this program needs {schema.head()}, and "
            f"{project.database.location} cannot be written to; copy the project to a disk where "
            "it can, and open it there once"
        )
    if project.database.is_sqlite and found not in (None, schema.head()):
        modes.make_folder(project.backups_dir)
        stamp = project.now().strftime("%Y%m%dT%H%M%SZ")
        schema.snapshot(
            project.database, project.backups_dir / f"{BEFORE_UPGRADE}{found}-{stamp}.sqlite"
        )
    upgrade(project)


def upgrade(project: Project) -> None:
    """Upgrade the database, and let the audit trail cover rows that it did not cover before."""
    found = schema.revision(project.database)
    if found is None or found < schema.COVERED_SINCE:
        leave_unsealed(project)
    schema.upgrade(project.database)
    if _can_be_sealed(project):
        project.cover_older()
        (project.state_dir / _UNSEALED).unlink()


def leave_unsealed(project: Project) -> None:
    """Mark the project, so that its next opening covers the rows of an earlier release."""
    modes.make_folder(project.state_dir)
    os.close(modes.open_file(project.state_dir / _UNSEALED, os.O_WRONLY | os.O_CREAT))


def _can_be_sealed(project: Project) -> bool:
    """Tell whether an upgrade still lacks its audit event, and the key to sign it exists."""
    folder = project.state_dir
    return (folder / _UNSEALED).exists() and (folder / "key").exists()
