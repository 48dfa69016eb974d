"""Folders for bulky files on their way into the project: gone when the work is done.

What a killed process left there, the next one at the same work clears away.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from mlkit.flows.data import version_files
from mlkit.project import Project
from mlkit.store.disk import modes


def root(project: Project) -> Path:
    """Return the folder of all such folders, beside the files that will be kept."""
    return project.root / "data" / "scratch"


def of_dataset(project: Project, name: str) -> Path:
    """Return the folder of whoever holds the lock of dataset ``name``."""
    return root(project) / name


@contextmanager
def alone(project: Project, name: str) -> Iterator[Path]:
    """Hold the lock of dataset ``name`` and yield its folder, empty; raises BusyError."""
    busy = f"another process is adding to dataset '{name}'; try again"
    with project.lock(f"data-{name}", busy=busy), version_files.used(project):
        folder = of_dataset(project, name)
        shutil.rmtree(folder, ignore_errors=True)
        modes.make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # somebody else's is in it
                root(project).rmdir()


def clear(project: Project) -> None:
    """Remove the folders of those who hold the lock of a dataset; the caller knows that none does.

    Those of ``shared`` work stay: nobody knows whether it is still going on.
    """
    for folder in root(project).glob("[!~]*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_empty(project: Project, *, older_than: timedelta) -> None:
    """Remove the folders from which everything is gone, and that nobody can be about to use."""
    limit = (datetime.now(UTC) - older_than).timestamp()  # of the machine's clock, as file times
    for folder in root(project).glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < limit:
                folder.rmdir()


@contextmanager
def shared(project: Project, name: str) -> Iterator[Path]:
    """Yield a folder for work that others may do at once; the system's, if ours is read-only."""
    read_only = not os.access(project.root, os.W_OK)
    if not read_only:
        modes.make_folder(root(project))
    place = None if read_only else root(project)
    with TemporaryDirectory(prefix=f"~{name}-", dir=place) as folder:
        yield Path(folder)
    with suppress(OSError):
        root(project).rmdir()
