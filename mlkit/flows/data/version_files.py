"""Locks between the users of dataset version files and the commands that delete some.

Users share one lock, from before they read or write a file until a row names it; ``data gc`` and
``data erase`` hold it exclusively. So no file is deleted that is about to be named.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mlkit.project import Project

BACKUP = "backup"
"""The lock of whoever copies the project."""

_VERSIONS = "versions"


@contextmanager
def used(project: Project) -> Iterator[None]:
    """Prevent the deletion of version files meanwhile; raises BusyError during a deletion."""
    busy = "files of dataset versions are being deleted (data gc, data erase); try again"
    with project.share(_VERSIONS, busy=busy):
        yield


@contextmanager
def deleted(project: Project) -> Iterator[None]:
    """Prevent any use of version files meanwhile, also by a backup; raises BusyError."""
    adding = "another process is adding to a dataset, joining or training; try again"
    copying = "a backup of this project is being made; try again"
    with project.lock(_VERSIONS, busy=adding), project.lock(BACKUP, busy=copying):
        yield
