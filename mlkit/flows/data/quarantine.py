"""Quarantine files with failing rows: write, list and remove them."""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from mlkit import names
from mlkit.errors import InvalidInputError, unknown
from mlkit.project import Project
from mlkit.store.disk import blobs, failpoints, modes

if TYPE_CHECKING:
    import pyarrow as pa

Shelf = Callable[["pa.Table"], Path]

KEPT: Final = 20  # files of a dataset


class Aside(msgspec.Struct, frozen=True):
    """A file with failing rows."""

    file: str
    dataset: str
    size_bytes: int
    written_at: datetime


def shelf(project: Project, name: str) -> Shelf:
    """Return a function that stores failing rows of a dataset in the project and returns the path.

    A file is named by the digest of its bytes, so the same rows, refused every night, are one file.
    Each dataset keeps its newest 20 files.
    """

    def put(rows: "pa.Table") -> Path:
        from mlkit.steps.rules import quarantine  # imports pyarrow, which the list does not need

        content = quarantine.to_csv(rows)
        folder = project.quarantine_dir
        modes.make_folder(folder)
        file = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}.csv"
        blobs.write_durably(file, content)
        _unlink(project, _of(project, name)[KEPT:])
        failpoints.reach("data.aside")
        return file.relative_to(project.root)

    return put


def shelf_at(file: Path) -> Shelf:
    """Return a function that writes failing rows to the user's file; raises InvalidInputError."""

    def put(rows: "pa.Table") -> Path:
        from mlkit.steps.rules import quarantine

        if not file.parent.is_dir() or file.is_dir():
            raise InvalidInputError(f"{file} cannot be written; name a file in a folder that is")
        blobs.write_durably(file, quarantine.to_csv(rows))
        return file

    return put


def listed(project: Project, name: str | None = None) -> list[Aside]:
    """Return the files with failing rows, of one dataset or of all, newest first."""
    return _of(project, names.check("dataset", name)) if name else _all(project)


def remove(project: Project, wanted: str) -> list[Aside]:
    """Remove one file, or all of a dataset, and return those removed; raises NotFoundError."""
    known = _all(project)
    named = [one for one in known if one.file in (wanted, f"quarantine/{wanted}")]
    gone = named or [one for one in known if one.dataset == wanted]
    if not gone:
        files = [Path(one.file).name for one in known]
        raise unknown("quarantine file or dataset", wanted[:100], files, "mlkit data quarantine")
    _unlink(project, gone)
    return gone


def discard(project: Project, name: str) -> None:
    """Remove all files of dataset ``name``."""
    _unlink(project, _of(project, name))


def _all(project: Project) -> list[Aside]:
    """Return all files, newest first; skips those that are removed at the same time."""
    found = []
    for file in project.quarantine_dir.glob("*-????????????.csv"):
        with suppress(FileNotFoundError):
            stat = file.stat()
            written = datetime.fromtimestamp(stat.st_mtime, UTC)
            dataset = file.stem.rpartition("-")[0]
            found.append(Aside(f"quarantine/{file.name}", dataset, stat.st_size, written))
    return sorted(found, key=lambda one: one.written_at, reverse=True)


def _of(project: Project, name: str) -> list[Aside]:
    return [one for one in _all(project) if one.dataset == name]


def _unlink(project: Project, files: Iterable[Aside]) -> None:
    for one in files:
        (project.quarantine_dir / Path(one.file).name).unlink(missing_ok=True)
