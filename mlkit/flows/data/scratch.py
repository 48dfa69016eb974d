"""Scratch folders for large files during ingestion, removed when the work is done.

The next process that does the same work removes what a killed one left behind.
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
    """Return the root of all scratch folders, on the file system of the stored files."""
    return project.root / "data" / "scratch"


def of_dataset(project: Project, name: str) -> Path:
    """Return the scratch folder that belongs to the lock of dataset ``name``."""
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
            with suppress(OSError):  # another process uses it
                root(project).rmdir()


def clear(project: Project) -> None:
    """Remove the folders that belong to dataset locks; the caller ensures that none is held.

    Folders of ``shared`` work stay: it may still be running.
    """
    for folder in root(project).glob("[!~]*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_empty(project: Project, *, older_than: timedelta) -> None:
    """Remove empty folders that are too old to be about to be used."""
    limit = (datetime.now(UTC) - older_than).timestamp()  # the machine's clock, as for file times
    for folder in root(project).glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < limit:
                folder.rmdir()


@contextmanager
def shared(project: Project, name: str) -> Iterator[Path]:
    """Yield a folder for concurrent work; the system's temp folder if the project is read-only."""
    read_only = not os.access(project.root, os.W_OK)
    if not read_only:
        modes.make_folder(root(project))
    place = None if read_only else root(project)
    with TemporaryDirectory(prefix=f"~{name}-", dir=place) as folder:
        yield Path(folder)
    with suppress(OSError):
        root(project).rmdir()
