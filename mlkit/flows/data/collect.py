"""Garbage collection of dataset versions that nothing refers to; their records stay.

The records are marked first, then the files are deleted: a kill in between leaves files that the
next collection, or the job ``prune``, deletes.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from mlkit.flows.data import leftovers, version_files
from mlkit.progress import Progress, silent
from mlkit.project import Project, Session
from mlkit.store import alerts, audit, datasets, features, registry
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import failpoints

_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}@[0-9]+")


class Unneeded(msgspec.Struct, frozen=True):
    """A version that nothing refers to."""

    reference: str
    rows: int
    size_bytes: int


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, or would be; ``files`` are those that no row names."""

    versions: tuple[Unneeded, ...]
    files: int
    size_bytes: int
    dry_run: bool


def look(project: Project) -> Collected:
    """Return what ``collect`` would delete, and delete nothing."""
    with project.read() as s:
        found = [_unneeded(project, version) for version in _candidates(s)]
        gone = _left_by_kills(project, s)
    files = {*gone, *leftovers.due(project)}
    size = sum(one.size_bytes for one in found) + sum(_size(file) for file in files)
    return Collected(versions=tuple(found), files=len(files), size_bytes=size, dry_run=True)


def collect(project: Project, progress: Progress | None = None) -> Collected:
    """Delete the files of versions that nothing refers to, and files that no row names.

    Never one that a model version, an open alert, a materialised feature view or another version
    refers to, nor the newest of a dataset. Raises BusyError while somebody adds, joins, trains or
    makes a backup.
    """
    say = progress or silent
    with version_files.deleted(project):
        say("looking for what nothing needs")
        found = _mark(project)
        failpoints.reach("gc.marked")
        say("deleting files")
        files, size = _delete(project)
        for file in leftovers.due(project):
            bytes_of_it = _size(file)
            if leftovers.remove(file):
                files, size = files + 1, size + bytes_of_it
    return Collected(
        versions=tuple(found), files=max(0, files - len(found)), size_bytes=size, dry_run=False
    )


def _candidates(s: Session) -> list[DatasetVersion]:
    versions = datasets.outline(s)
    needed = _needed(s, versions)
    kept = {(v.dataset_id, v.sha256) for v in versions if v.reference in needed}
    there = [version for version in versions if version.collected_at is None]
    return [v for v in there if (v.dataset_id, v.sha256) not in kept]


def _needed(s: Session, versions: Sequence[DatasetVersion]) -> set[str]:
    """Return the references of all versions that are still referred to."""
    by_id = {version.id: version for version in versions}
    by_reference = {version.reference: version for version in versions}
    newest = {version.dataset_id: version.reference for version in versions}
    found = {by_id[one.dataset_version_id].reference for one in registry.outline(s)}
    found |= {*newest.values(), *_of_alerts(s)}
    found |= {view.dataset for view in features.list_views(s) if view.dataset is not None}
    waiting = [by_reference[name] for name in found if name in by_reference]
    while waiting:
        for name in waiting.pop().made_of:
            if name in by_reference and name not in found:
                found.add(name)
                waiting.append(by_reference[name])
    return found


def _of_alerts(s: Session) -> Iterator[str]:
    """Yield the versions that an open alert refers to."""
    for alert in alerts.ongoing(s):
        text = f"{alert.summary} {msgspec.json.encode(alert.details).decode()}"
        yield from _REFERENCE.findall(text)


def _unneeded(project: Project, version: DatasetVersion) -> Unneeded:
    return Unneeded(version.reference, version.rows, _size(project.data.path(version.sha256)))


def _mark(project: Project) -> list[Unneeded]:
    """Mark unneeded versions as collected, in the transaction that checks the references."""
    with project.write() as s:
        chosen = _candidates(s)
        found = [_unneeded(project, version) for version in chosen]
        for version in chosen:
            version.collected_at = project.now()
            audit.record(
                s, project.now(), actor=project.actor, action="data gc",
                subject=version.reference,
                details={"sha256": version.sha256, "rows": version.rows},
            )  # fmt: skip
    return found


def _delete(project: Project) -> tuple[int, int]:
    """Delete the files of collected versions; return how many, and their bytes."""
    with project.read() as s:
        gone = {v.sha256 for v in datasets.outline(s) if v.collected_at is not None}
    files = size = 0
    for sha256 in sorted(gone):
        freed = project.data.remove(sha256, partial(_unused, project, sha256))
        files, size = files + bool(freed), size + freed
        failpoints.reach("gc.deleted")
    return files, size


def _unused(project: Project, sha256: str) -> bool:
    with project.read() as s:
        return sha256 not in datasets.blobs(s)


def _left_by_kills(project: Project, s: Session) -> list[Path]:
    """Return the files of collected versions that still exist."""
    gone = {v.sha256 for v in datasets.outline(s) if v.collected_at is not None}
    paths = [project.data.path(sha256) for sha256 in gone - datasets.blobs(s)]
    return [path for path in paths if path.is_file()]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
