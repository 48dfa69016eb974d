"""Who may use the files of dataset versions while who may delete some.

The first share one lock, from before they read or write a file until the row is there that names
it; ``data gc`` and ``data erase`` have it alone. So no file goes that somebody is about to name.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mlkit.project import Project

BACKUP = "backup"
"""The lock of whoever copies the project."""

_VERSIONS = "versions"


@contextmanager
def used(project: Project) -> Iterator[None]:
    """Let no file of a version be deleted meanwhile; raises BusyError while some are."""
    busy = "files of dataset versions are being deleted (data gc, data erase); try again"
    with project.share(_VERSIONS, busy=busy):
        yield


@contextmanager
def deleted(project: Project) -> Iterator[None]:
    """Let nobody use the files of versions meanwhile, no backup either; raises BusyError."""
    adding = "another process is adding to a dataset, joining or training; try again"
    copying = "a backup of this project is being made; try again"
    with project.lock(_VERSIONS, busy=adding), project.lock(BACKUP, busy=copying):
        yield
