"""Failing rows set aside in files: written beside a refusal or a version, listed, removed."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from mlkit import names
from mlkit.errors import InvalidInputError, unknown
from mlkit.project import Project
from mlkit.store import blobs, failpoints

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
    """Return what keeps failing rows of a dataset in the project and says where.

    The name of a file is that of its bytes: the same rows, refused every night, are one file. Of
    more than 20 of a dataset the oldest go.
    """

    def put(rows: "pa.Table") -> Path:
        from mlkit.steps import quarantine  # pyarrow, which the list does without

        content = quarantine.to_csv(rows)
        folder = project.quarantine_dir
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}.csv"
        blobs.write_durably(file, content)
        for old in _of(project, name)[KEPT:]:
            old.unlink(missing_ok=True)
        failpoints.reach("data.aside")
        return file.relative_to(project.root)

    return put


def shelf_at(file: Path) -> Shelf:
    """Return what writes failing rows to a file that the user chose; raises InvalidInputError."""

    def put(rows: "pa.Table") -> Path:
        from mlkit.steps import quarantine

        if not file.parent.is_dir() or file.is_dir():
            raise InvalidInputError(f"{file} cannot be written; name a file in a folder that is")
        blobs.write_durably(file, quarantine.to_csv(rows))
        return file

    return put


def listed(project: Project, name: str | None = None) -> list[Aside]:
    """Return the files with failing rows, of one dataset or of all, newest first."""
    files = _of(project, names.check("dataset", name)) if name else list(_all(project))
    return [_described(file) for file in sorted(files, key=_age)]


def remove(project: Project, wanted: str) -> list[Aside]:
    """Remove one file, or all of a dataset; raises NotFoundError. Returns what is gone."""
    files = [file for file in _all(project) if wanted in (file.name, f"quarantine/{file.name}")]
    files = files or [file for file in _all(project) if _dataset(file) == wanted]
    if not files:
        known = [file.name for file in sorted(_all(project), key=_age)]
        raise unknown("quarantine file or dataset", wanted[:100], known, "mlkit data quarantine")
    gone = [_described(file) for file in files]
    for file in files:
        file.unlink(missing_ok=True)
    return gone


def discard(project: Project, name: str) -> None:
    """Remove all files of dataset ``name``."""
    for file in _of(project, name):
        file.unlink(missing_ok=True)


def _all(project: Project) -> Iterator[Path]:
    return project.quarantine_dir.glob("*-????????????.csv")


def _of(project: Project, name: str) -> list[Path]:
    return sorted((file for file in _all(project) if _dataset(file) == name), key=_age)


def _dataset(file: Path) -> str:
    return file.stem.rpartition("-")[0]


def _age(file: Path) -> float:
    return -file.stat().st_mtime


def _described(file: Path) -> Aside:
    stat = file.stat()
    written = datetime.fromtimestamp(stat.st_mtime, UTC)
    return Aside(f"quarantine/{file.name}", _dataset(file), stat.st_size, written)
