"""Rows from a file: CSV, Parquet, a folder of Parquet files, or the standard input."""

import hashlib
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mlkit import names
from mlkit.errors import CheckFailedError, ConflictError, InvalidInputError
from mlkit.flows.data.fetched import Fetched, Ready
from mlkit.flows.data.versioning import Origin
from mlkit.project import Project
from mlkit.provenance import File, Parquet, Stated
from mlkit.settings.table import DatasetSettings
from mlkit.steps.reading.options import Reading
from mlkit.store import datasets, file_digests
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import blobs
from mlkit.store.file_digests import Stamp

STDIN = Path("-")
_WRITTEN = "stdin"
_STILL_NS = 2_000_000_000  # a younger file can change without a change of its mtime


@dataclass(frozen=True)
class FileSource:
    """A file or a folder; ``-`` is stdin."""

    path: Path
    stated: Stated = field(default_factory=Stated)


def of_settings(project: Project, settings: DatasetSettings) -> FileSource:
    """Return the file configured in ``[datasets.NAME]``."""
    return FileSource(project.root / Path(settings.source).expanduser(), _stated(settings))


def _stated(settings: DatasetSettings) -> Stated:
    said = {mark: getattr(settings, mark) for mark in Stated.__struct_fields__}
    return Stated(**{mark: value for mark, value in said.items() if value != ()})


def ready(project: Project, name: str, source: FileSource, scratch: Path) -> Ready:
    """Return a fetchable source for the file of dataset ``name``; raises InvalidInputError."""
    usual = _with_habits(project, name, source)
    found = exactly(project, usual, scratch)
    if source.stated.encoding is not None or usual.stated.encoding is None:
        return found
    path = scratch / _WRITTEN if source.path == STDIN else source.path
    return replace(found, fetch=partial(_fetch_alike, found, path, usual.stated.encoding))


def _fetch_alike(found: Ready, path: Path, encoding: str, how: Reading) -> Fetched:
    """Return the rows of a file in the encoding of earlier files; raises InvalidInputError."""
    from mlkit.steps.reading import csv_dialect  # imports pyarrow, which `data list` does not need

    if path.is_file():
        csv_dialect.refuse_utf8(path, encoding)
    return found.fetch(how)


def exactly(project: Project, source: FileSource, scratch: Path) -> Ready:
    """Return a fetchable source that is read exactly as ``source`` says."""
    if source.path == STDIN:
        source, label = replace(source, path=_written_down(scratch)), "stdin"
        found = Digest(blobs.file_digest(source.path), {}, {})
    else:
        found = _digest(project, source.path)  # refuses dangling links
        label = str(source.path.resolve())
    return Ready(
        label,
        fetch=lambda how: _fetch(source, how, label=label, found=found),
        sha256=found.sha256,
        stated=source.stated,
        settled=lambda: _remember(project, found),
    )


def again(project: Project, version: DatasetVersion, made: File, scratch: Path) -> Ready:
    """Return the file that a version was made from; raises CheckFailedError if it has changed."""
    file = Path(version.source)
    if not file.exists():
        raise CheckFailedError(f"its source {file} is gone")
    found = exactly(project, FileSource(file, made.stated), scratch)
    if found.sha256 != version.source_sha256:
        raise CheckFailedError(
            f"its source {file} has changed (sha256 {str(found.sha256)[:12]}, it was "
            f"{str(version.source_sha256)[:12]})"
        )
    return found


def _with_habits(project: Project, name: str, source: FileSource) -> FileSource:
    """Return the source with the dialect from ``mlkit.toml``, or else that of the last file."""
    with project.read() as s:
        made = datasets.last_made(s, name, File)
    return replace(source, stated=source.stated.over(habits(project, name, made)))


def habits(project: Project, name: str, made: File | None) -> Stated:
    """Return the usual CSV options of the files of dataset ``name``.

    They come from ``mlkit.toml``, else from the file of the version ``made``.
    """
    settings = project.settings.datasets.get(name)
    own = Stated() if settings is None else _stated(settings)
    return own if made is None else own.over(made.stated)


def _written_down(scratch: Path) -> Path:
    """Copy the standard input to a file, because it is read more than once."""
    kept = scratch / _WRITTEN
    with kept.open("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream, 1 << 20)
    return kept


@dataclass(frozen=True)
class Digest:
    """The sha256 of a file, or of all files of a folder.

    ``stamps`` are size and times of the files, ``fresh`` the digests to be cached.
    """

    sha256: str
    stamps: dict[str, Stamp]
    fresh: dict[str, str]


def _digest(project: Project, path: Path) -> Digest:
    """Return the digest of ``path``, from the cache if size and times of a file are unchanged."""
    if not path.is_dir():
        if not path.is_file():
            raise InvalidInputError(f"{path} is not a file")
        return _of_file(project, path)
    from mlkit.steps.reading import parquet_rows  # imports pyarrow, which `data list` does not need

    files = parquet_rows.files(path)
    found = {file: _of_file(project, file) for file in files}
    lines = [f"{file.relative_to(path)} {found[file].sha256}\n" for file in files]
    return Digest(
        hashlib.sha256("".join(lines).encode()).hexdigest(),
        {key: stamp for one in found.values() for key, stamp in one.stamps.items()},
        {key: sha256 for one in found.values() for key, sha256 in one.fresh.items()},
    )


def _of_file(project: Project, path: Path) -> Digest:
    key, stamp = str(names.check_file(path.resolve())), Stamp.of(path.stat())
    with project.read() as s:
        known = file_digests.find(s, key, stamp)
    if known is not None:
        return Digest(known, {key: stamp}, {})
    started = time.time_ns()
    sha256 = blobs.file_digest(path)
    settled = stamp == Stamp.of(path.stat()) and started - stamp.changed_ns > _STILL_NS
    return Digest(sha256, {key: stamp}, {key: sha256} if settled else {})


def _remember(project: Project, found: Digest) -> None:
    """Cache the digests of files that were read, so that they are not read again."""
    if found.fresh:
        with project.write() as s:
            for path, sha256 in found.fresh.items():
                file_digests.remember(s, path, found.stamps[path], sha256)


def _fetch(source: FileSource, how: Reading, *, label: str, found: Digest) -> Fetched:
    """Return the rows; raises InvalidInputError with the place of the fault in the file."""
    from mlkit.steps.reading import (  # imports pyarrow, which `data list` does not need
        csv_dialect,
        source_file,
    )

    stated = csv_dialect.checked(source.stated)
    loaded = source_file.load(source.path, replace(how, stated=stated))
    _refuse_changed(found)
    made = File(stated=source.stated, read_as=loaded.read_as)
    origin = Origin(label, found.sha256, made=made)
    typed = isinstance(loaded.read_as, Parquet)
    return Fetched(loaded.table, origin, loaded.warnings, "file" if typed else None)


def _refuse_changed(found: Digest) -> None:
    """Raise ConflictError if a file has changed since it was hashed."""
    for path, stamp in found.stamps.items():
        if Stamp.of(Path(path).stat()) != stamp:
            raise ConflictError(f"{path} has changed while it was read; try again when it is whole")
