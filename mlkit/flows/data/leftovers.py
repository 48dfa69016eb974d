"""Delete the files that killed processes left behind and that no row names."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlkit.errors import BusyError
from mlkit.flows.data import named_files, scratch, version_files
from mlkit.project import Project
from mlkit.settings.table import duration

_MIN_AGE = timedelta(days=1)  # a younger one may still be in use


def sweep(project: Project) -> int:
    """Delete leftover files older than a day, and old outputs of jobs; return how many.

    A blob or segment that any row names is never touched.
    """
    kept = datetime.now(UTC) - duration(project.settings.jobs.keep)
    found = [file for file in project.log_dir.glob("jobs/*/*.log") if _changed(file) < kept]
    for file in found:
        file.unlink(missing_ok=True)
    gone = _remove_due(project) if due(project) else 0
    scratch.remove_empty(project, older_than=_MIN_AGE)
    return len(found) + gone


def remove(file: Path) -> bool:
    """Delete a file that was due unless it has just come into use; return whether it is gone."""
    if _changed(file) >= datetime.now(UTC) - _MIN_AGE:
        return False
    file.unlink()
    return True


def remove_dead(project: Project) -> None:
    """Delete the data files that no database row names, whatever their age.

    The caller holds the lock of ``version_files.deleted``, so none of them is in use.
    """
    stores = (project.data.root, project.artifacts.root, project.references.root)
    rooms = (*stores, project.quarantine_dir, project.backups_dir)
    for file in find(project):
        if any(file.is_relative_to(room) for room in rooms):
            file.unlink(missing_ok=True)
    scratch.clear(project)


def _remove_due(project: Project) -> int:
    """Delete the due files and return how many; files in use are left to the next run."""
    with suppress(BusyError), version_files.deleted(project):
        return len([file for file in due(project) if remove(file)])
    return 0


def due(project: Project) -> list[Path]:
    """Return the files that no row names and that cannot be in use any more."""
    now = datetime.now(UTC)  # file times come from the machine's clock, not the project's
    return [file for file in find(project) if _changed(file) < now - _MIN_AGE]


def find(project: Project) -> list[Path]:
    """Return all project files that no row names; files are listed before the rows are read."""
    stores = (project.data, project.artifacts, project.references)
    files = {store.path(digest) for store in stores for digest in store.digests()}
    files |= set(project.log_dir.glob("*/*/*.parquet"))
    with project.read() as s:
        named = named_files.of(s, project)
    unnamed = {file for file in files if file.relative_to(project.root).as_posix() not in named}
    for store in stores:
        unnamed |= set(store.leftovers())
    for folder, pattern in (
        (project.log_dir, "*/*/.*.part"),
        (project.journal_dir, ".*.part"),
        (project.backups_dir, ".*.part*"),
        (scratch.root(project), "*/*"),
        (project.quarantine_dir, ".*.part"),
        (project.schemas_dir, ".*.part"),
        (project.state_dir, ".*.part"),
    ):
        unnamed |= set(folder.glob(pattern))
    return sorted(unnamed)


def _changed(file: Path) -> datetime:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except FileNotFoundError:  # another process deleted it
        return datetime.now(UTC)
