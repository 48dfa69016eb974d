"""Checks of the files: their permissions, and their content against the digests in the database."""

import os
import platform
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from mlkit.errors import DamagedError, MlkitError
from mlkit.flows.data import leftovers
from mlkit.flows.doctor import group_mode, loadable
from mlkit.flows.doctor.findings import Finding, fail, ok, warn
from mlkit.flows.operations import backup, copies
from mlkit.flows.registry import own_code, provenance
from mlkit.project import Project
from mlkit.store import baselines, datasets, deployments, journal, registry, segments
from mlkit.store.disk import blobs, ownership
from mlkit.store.registry import ModelVersion

_OLD_BACKUP = timedelta(days=2)
_SHOWN = 20
_ONLY_THE_OWNER = "only the owner reads the secrets and writes the project"
_ONLY_THE_GROUP = "the owner and the group use the project, nobody else does"
_RESTORE = "restore a backup (mlkit backup restore)"


def permissions(project: Project) -> Iterator[Finding]:
    """Find files that other users of the machine could read or change, and should not."""
    group = project.settings.project.group
    secret = [project.state_dir, project.state_dir / "key", project.environment_file]
    if project.database.is_sqlite:
        secret.append(Path(project.database.location))
    secret = [path for path in secret if path.exists()]
    if group:
        found = list(group_mode.faults(project, secret))
    else:
        found = [line for path in secret for line in _exposure(path)]
    shared = project.root.stat().st_gid if group else None
    policy = ownership.OwnershipPolicy(group=group, environment=os.environ, of_group=shared)
    paths = [*ownership.executed(project.root), *ownership.trusted(project.root)]
    faults = list(policy.faults(paths))
    found += [(warn if f.by_group else fail)(f.said, f.fix) for f in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        found.append(fail(f"{len(faults) - _SHOWN} more files and folders like these"))
    yield from found or [ok(_ONLY_THE_GROUP if group else _ONLY_THE_OWNER)]


def key(project: Project) -> Iterator[Finding]:
    """Check that the signing key can be read."""
    yield ok(f"the signing key has {len(project.key)} bytes")


def journals(project: Project) -> Iterator[Finding]:
    """Find journals that were set aside because they are damaged."""
    damaged = sorted(project.journal_dir.glob(f"*{journal.DAMAGED_SUFFIX}"))
    if damaged:
        yield warn(
            f"{len(damaged)} damaged journals, first {damaged[0]}; their good rows were kept",
            "look for a failing disk, then move these files away",
        )
    else:
        yield ok("no damaged journal")


def models(project: Project) -> Iterator[Finding]:
    """Hash every artifact and reference, check its signature, and load every champion."""
    with project.read() as s:
        keys = registry.version_ids(s)
        read = [registry.readable(s, key) for key in keys]
        serving = {d.model_version_id for d in deployments.champions(s)}
    edited = [str(each) for each in read if isinstance(each, DamagedError)]
    yield from (fail(found) for found in edited)
    versions, wrong = [each for each in read if isinstance(each, ModelVersion)], set()
    for version in versions:
        for found in _faults(project, version):
            wrong.add(version.id)
            role = ", the champion" if version.id in serving else ""
            yield fail(f"{version.model.name} v{version.number}{role}: {found}", _RESTORE)
    whole = [version for version in versions if version.id in serving - wrong]
    unloadable = list(loadable.troubles(project, whole))
    for label, found in unloadable:
        model = label.partition(" ")[0]
        fix = f"mlkit model rollback {model}, or train again: mlkit retrain {model}"
        yield fail(f"{label}, the champion, cannot be loaded: {found}", fix)
    if not edited and not wrong and not unloadable:
        loads = f"{len(whole)} champions load"
        yield ok(f"{len(versions)} versions, artifacts sound and signed; {loads}")


def libraries(project: Project) -> Iterator[Finding]:
    """Compare the libraries of each champion with those that are installed."""
    with project.read() as s:
        champions = [deployment.version for deployment in deployments.champions(s)]
    skewed = 0
    for version in champions:
        names = [*provenance.ANSWERING, *own_code.recorded(version.code).libraries]
        answering = {name: version.packages.get(name) for name in names}
        for name, recorded in {"python": version.python, **answering}.items():
            found = _installed(name)
            if recorded is None:
                continue
            if _minor(found) != _minor(recorded):
                skewed += 1
                yield warn(
                    f"{version.model.name} v{version.number} was trained with {name} {recorded}, "
                    f"{found} is installed",
                    f"go back to {name} {recorded}, or train again: "
                    f"mlkit retrain {version.model.name}",
                )
    if not skewed:
        yield ok("champions run on the libraries they were trained with")


def data(project: Project) -> Iterator[Finding]:
    """Hash every dataset version, drift baseline and sealed segment of the log."""
    with project.read() as s:
        collected = sum(v.collected_at is not None for v in datasets.outline(s))
        named = {
            v.reference: (project.data.path(v.sha256), v.sha256)
            for v in datasets.versions(s)
            if v.collected_at is None
        }
        files = {digest for _, digest in named.values()}
        for digest in sorted(datasets.blobs(s) - files):
            named[f"the rows behind a version, {digest[:12]}"] = (project.data.path(digest), digest)
        for kept in baselines.list_all(s):
            file = project.references.path(kept.sha256)
            named[f"baseline '{kept.name}' of {kept.model.name}"] = (file, kept.sha256)
        for segment in segments.every(s):
            named[f"log segment {segment.path}"] = (project.root / segment.path, segment.sha256)
    wrong = 0
    for name, (path, digest) in named.items():
        if not path.is_file() or blobs.file_digest(path) != digest:
            wrong += 1
            yield fail(f"{name}: {path} is {'changed' if path.is_file() else 'missing'}", _RESTORE)
    if not wrong:
        said = f"{len(named)} files, all as recorded"
        yield ok(f"{said}; {collected} versions collected" if collected else said)


def unneeded(project: Project) -> Iterator[Finding]:
    """Find files that no row names, left by killed commands; they only cost space."""
    found = leftovers.due(project)
    if found:
        yield warn(
            f"{len(found)} files that nothing needs, {_size(found)}",
            "mlkit job run prune",
        )
    else:
        yield ok("every file is named by a row")


def dead_copies(project: Project) -> Iterator[Finding]:
    """Remove the copies of whole projects, key included, that killed commands have left."""
    gone = copies.sweep(project)
    yield ok(f"removed {gone} that killed commands had left" if gone else "no command left any")


def backups(project: Project) -> Iterator[Finding]:
    """Check the age of the newest backup in ``backups/``."""
    if not project.database.is_sqlite:
        yield ok("left to the tools of the database, which is not SQLite")
        return
    found = backup.list_backups(project)
    if not found:
        with project.read() as s:
            used = bool(registry.list_models(s))
        said = "no backup in backups/"
        yield warn(said, "mlkit backup create") if used else ok(f"{said}, and no model to lose")
        return
    age = project.now() - datetime.fromtimestamp(found[0].stat().st_mtime, UTC)
    said = f"{len(found)} backups, the newest {age.total_seconds() / 3600:.0f} h old"
    yield warn(said, "mlkit job run backup") if age > _OLD_BACKUP else ok(said)


def _exposure(path: Path) -> Iterator[Finding]:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield fail(f"other users may use {path}", f"chmod go= {path}")


def _faults(project: Project, version: ModelVersion) -> Iterator[str]:
    signed = (version.model.name, version.number, version.artifact_sha256)
    if not blobs.verify(project.key, version.signature, *signed):
        yield "its signature was not made with this project's key"
    for store, digest in (
        (project.artifacts, version.artifact_sha256),
        (project.references, version.reference_sha256),
        (project.references, version.estimation_sha256),
    ):
        if digest is None:
            continue
        try:
            store.read(digest)
        except (MlkitError, OSError) as error:
            yield str(error)


def _installed(name: str) -> str:
    if name == "python":
        return platform.python_version()
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _minor(version: str) -> list[str]:
    """Return major and minor version; scikit-learn supports its pickles within these only."""
    return str(version).split(".")[:2]


def _size(paths: list[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB"
