"""Remove copies of whole projects, key included, that killed commands have left."""

from pathlib import Path
from tempfile import gettempdir

from mlkit.flows.operations import backup, restore
from mlkit.project import Project
from mlkit.store.disk import scratch_folders


def sweep(project: Project) -> int:
    """Remove the copies left by killed backups, verifications and restores; return how many.

    Copies in use are kept. On a read-only disk nothing is removed.
    """
    if project.database.is_read_only:
        return 0
    scratch_folders.settle(project.root)
    return backup.sweep(project) + scratch_folders.sweep(Path(gettempdir()), restore.ROOM)
