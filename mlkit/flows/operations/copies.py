"""Copies of whole projects that killed commands have left, key included: cleared away."""

from pathlib import Path
from tempfile import gettempdir

from mlkit.flows.operations import backup, restore
from mlkit.project import Project
from mlkit.store.disk import scratch_folders


def sweep(project: Project) -> int:
    """Remove what killed backups, verifications and restores left, and return how many there were.

    What somebody is still at work on stays. Nothing on a disk that cannot be written to.
    """
    if project.database.is_read_only:
        return 0
    scratch_folders.settle(project.root)
    return backup.sweep(project) + scratch_folders.sweep(Path(gettempdir()), restore.ROOM)
