"""Remove copies of whole projects, key included, that killed commands have left."""

from pathlib import Path
from tempfile import gettempdir

from mlkit.flows.operations import backup, restore
from mlkit.project import Project
from mlkit.store.disk import rooms


def sweep(project: Project) -> int:
    """Remove the copies left by killed backups, verifications and restores; return how many.

    Copies in use are kept. On a read-only disk nothing is removed.
    """
    if project.database.is_read_only:
        return 0
    rooms.settle(project.root)
    return backup.sweep(project) + rooms.sweep(Path(gettempdir()), restore.ROOM)
