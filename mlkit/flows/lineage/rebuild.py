"""Make the rows of a dataset version again as its record says, and prove that they are the same."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from mlkit.errors import CheckFailedError, MlkitError
from mlkit.flows.data import acceptance, file_source, ingest, query_source, scratch, versioning
from mlkit.flows.data.acceptance import Rules
from mlkit.flows.data.fetched import Fetching, Ready
from mlkit.flows.data.file_source import Dialect, FileSource
from mlkit.flows.erasure import subject
from mlkit.flows.features import joining
from mlkit.flows.training import retraining_rows
from mlkit.progress import Progress, silent
from mlkit.project import Project
from mlkit.steps.quality import table_warnings
from mlkit.steps.reading import frames
from mlkit.steps.rules import checks, failing_rules, quarantine
from mlkit.steps.tables.tabular import Tabular
from mlkit.store import audit, datasets
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import blobs, failpoints, modes


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was made again, byte for byte; ``restored`` if its file had been missing."""

    dataset: str
    version: int
    kind: str
    rows: int
    sha256: str
    same: bool
    restored: bool


def rebuild(project: Project, reference: str, progress: Progress | None = None) -> Rebuilt:
    """Make the rows of a version again and compare the bytes; a missing file is put back.

    Raises CheckFailedError, with why, if they differ or cannot be made any more.
    """
    say = progress or silent
    name, number = ingest.parse_reference(reference)
    with project.read() as s:
        version = datasets.get_version(s, name, number)
    with scratch.alone(project, name):
        say(f"making {version.reference} again")
        table = remake(project, version)
        restored = _prove(project, version, table)
    with project.read() as s:
        version = datasets.get_version(s, name, version.number)  # of old it may have lost rows
    return Rebuilt(
        dataset=name,
        version=version.number,
        kind=kind(version),
        rows=version.rows,
        sha256=version.sha256,
        same=True,
        restored=restored,
    )


def kind(version: DatasetVersion) -> str:
    """Return how the rows of a version were made; those of old came from a file."""
    told = version.transformation.get("kind")
    return str(told) if told else "file" if version.source_sha256 else "unknown"


def remake(project: Project, version: DatasetVersion) -> Tabular:
    """Return the rows of a version as its transformation says; raises CheckFailedError."""
    maker = _MAKERS.get(kind(version))
    if maker is None:
        raise _refusal(version, f"mlkit does not make rows of the kind '{kind(version)}' again")
    try:
        table = maker(project, version, version.transformation)
    except MlkitError as error:
        raise _refusal(version, str(error)) from error
    return _conform(version, table)


def _from_file(project: Project, version: DatasetVersion, made: Mapping[str, Any]) -> Tabular:
    file = Path(version.source)
    if not file.exists():
        raise CheckFailedError(f"its source {file} is gone")
    source = FileSource(file, Dialect(**made.get("stated", {})))
    folder = _folder(project, version)
    ready = file_source.exactly(project, source, folder)
    if ready.sha256 != version.source_sha256:
        raise CheckFailedError(
            f"its source {file} has changed (sha256 {str(ready.sha256)[:12]}, it was "
            f"{str(version.source_sha256)[:12]})"
        )
    return _fetched(version, ready, folder)


def _from_query(project: Project, version: DatasetVersion, _made: Mapping[str, Any]) -> Tabular:
    folder = _folder(project, version)
    ready = query_source.ready(query_source.of_record(project, version))
    return _fetched(version, ready, folder)


def _folder(project: Project, version: DatasetVersion) -> Path:
    """Return where bulky files go; of a version that another is made of it is not there yet."""
    folder = scratch.of_dataset(project, version.dataset.name)
    modes.make_folder(folder)
    return folder


def _fetched(version: DatasetVersion, ready: Ready, folder: Path) -> Tabular:
    rules = Rules(version.schema_yaml, "its rules")
    roles = versioning.own_roles(version.dataset)
    return ready.fetch(Fetching(folder, acceptance.types(rules, roles))).table


def _from_log(project: Project, version: DatasetVersion, made: Mapping[str, Any]) -> pa.Table:
    if "picked" not in made:
        raise CheckFailedError("it is of a release that did not record which predictions it took")
    logged = retraining_rows.from_log(project, version.dataset, made)
    return _combined(project, version, made, logged)


def _from_join(project: Project, version: DatasetVersion, _made: Mapping[str, Any]) -> Tabular:
    table: Tabular = joining.again(project, version)
    return table


def _of_window(project: Project, version: DatasetVersion, made: Mapping[str, Any]) -> pa.Table:
    return _combined(project, version, made, None)


def _combined(
    project: Project, version: DatasetVersion, made: Mapping[str, Any], logged: pa.Table | None
) -> pa.Table:
    base = None if "base" not in made else _rows_of(project, made["base"])
    since = made.get("since")
    moment = None if since is None else datetime.fromisoformat(since)
    return retraining_rows.combine(version.dataset, base, logged, moment)[0]


def _rows_of(project: Project, reference: str) -> pa.Table:
    """Return the rows of another version, made again too if its file was collected."""
    with project.read() as s:
        version = datasets.get_version(s, *ingest.parse_reference(reference))
    if version.collected_at is None:
        return ingest.load_version(project, version)
    table = remake(project, version)
    _prove(project, version, table)
    left = subject.without_erased(project, version, table)
    return left.select(left.column_names)


_MAKERS: Mapping[str, Callable[[Project, DatasetVersion, Mapping[str, Any]], Tabular]] = {
    "file": _from_file,
    "query": _from_query,
    "log": _from_log,
    "join": _from_join,
    "window": _of_window,
}


def _conform(version: DatasetVersion, table: Tabular) -> Tabular:
    """Return the rows as the rules that the version passed make them, the same left out."""
    time = version.dataset.time_column
    schema = checks.from_yaml(version.schema_yaml, "its rules")
    table, _ = table_warnings.without_infinities(table)
    if "quarantine" in version.transformation:
        found = list(failing_rules.find(table, schema, failing_rules.Circumstances()))
        mask = quarantine.failing(found, table.num_rows)
        table = table if mask is None else quarantine.rest(table, mask)
    table, _ = checks.keyed(table, target=None, time=time if time in table.column_names else None)
    return checks.conform(table, schema)


def _prove(project: Project, version: DatasetVersion, table: Tabular) -> bool:
    """Compare the bytes of ``table`` with those recorded and tell whether the file was put back.

    Raises CheckFailedError with the first difference.
    """
    left = subject.without_erased(project, version, table)
    if left.num_rows < table.num_rows and _digest(project, table) == version.sha256:
        # collected before a subject was erased: proved with its rows, kept without them
        subject.record(project, version, left, subject.store(project, left))
        return True
    if _digest(project, left) != version.sha256:
        raise _refusal(version, _difference(project, version, left) + _of_older_reader(version))
    if version.collected_at is None and project.data.path(version.sha256).is_file():
        return False
    subject.store(project, left)
    failpoints.reach("rebuild.stored")
    _restore(project, version)
    return True


def _digest(project: Project, table: Tabular) -> str:
    """Return the sha256 of the file that the rows make."""
    part = project.data.scratch()
    try:
        frames.write_parquet(table, part)
        return blobs.file_digest(part)
    finally:
        part.unlink(missing_ok=True)


def _restore(project: Project, version: DatasetVersion) -> None:
    with project.write() as s:
        s.get_one(DatasetVersion, version.id).collected_at = None
        audit.record(
            s, project.now(), actor=project.actor, action="data rebuild",
            subject=version.reference, details={"sha256": version.sha256},
        )  # fmt: skip


def _of_older_reader(version: DatasetVersion) -> str:
    """Return what a release that read CSV files otherwise may have made of this one."""
    read_as = version.transformation.get("read_as", {})
    if read_as.get("format") != "csv" or "missing" in read_as:
        return ""
    return (
        "; it was read by an older release, which took NA for missing, 007 for 7 and quoted digits "
        "for numbers"
    )


def _difference(project: Project, version: DatasetVersion, table: Tabular) -> str:
    """Say where the rows differ from those recorded, as far as they are still there."""
    if table.num_rows != version.rows:
        return f"it has {table.num_rows:,} rows, {version.rows:,} were recorded" + (
            "; rows of erased subjects are gone for good" if version.collected_at else ""
        )
    if version.collected_at is not None or not project.data.path(version.sha256).is_file():
        return "the bytes differ, and the recorded ones are not there to compare with"
    recorded = ingest.load_version(project, version)
    if recorded.column_names != table.column_names:
        return "its columns differ from those recorded"
    for name in recorded.column_names:
        if recorded.column(name).type != table.column(name).type:
            return f"the type of '{name}' differs from that recorded"
        if not recorded.column(name).equals(table.column(name)):
            return f"the values of '{name}' differ from those recorded"
    return f"the rows are equal, but pyarrow {pa.__version__} writes them in other bytes"


def _refusal(version: DatasetVersion, why: str) -> CheckFailedError:
    details = {
        "dataset": version.dataset.name,
        "version": version.number,
        "kind": kind(version),
        "sha256": version.sha256,
        "same": False,
        "reason": why,
    }
    return CheckFailedError(f"{version.reference} cannot be made again: {why}", details)
