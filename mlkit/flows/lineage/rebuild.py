"""Rebuild the rows of a dataset version from its provenance, and verify that they are identical."""

from datetime import datetime

import msgspec
import pyarrow as pa
from msgspec import UNSET

from mlkit.errors import CheckFailedError, MlkitError
from mlkit.flows.data import acceptance, ingest, scratch, sources, versioning
from mlkit.flows.data.acceptance import Rules
from mlkit.flows.erasure import subject
from mlkit.flows.features import joining
from mlkit.flows.training import retraining_rows
from mlkit.progress import Progress, silent
from mlkit.project import Project
from mlkit.provenance import Csv, File, Join, Log, Window
from mlkit.steps.quality import table_warnings
from mlkit.steps.reading import frames
from mlkit.steps.reading.options import Reading
from mlkit.steps.rules import checks, failing_rules, quarantine, rule_failure
from mlkit.steps.tables.tabular import Tabular
from mlkit.store import audit, datasets
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import blobs, failpoints, modes


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A version rebuilt byte for byte; ``restored`` if its file had been missing."""

    dataset: str
    version: int
    kind: str
    rows: int
    sha256: str
    same: bool
    restored: bool


def rebuild(project: Project, reference: str, progress: Progress | None = None) -> Rebuilt:
    """Rebuild the rows of a version and compare the bytes; a missing file is restored.

    Raises CheckFailedError with the reason if they differ or cannot be rebuilt.
    """
    say = progress or silent
    name, number = ingest.parse_reference(reference)
    with project.read() as s:
        version = datasets.get_version(s, name, number)
    with scratch.alone(project, name):
        say(f"making {version.reference} again")
        table = remake(project, version)
        restored = _verify(project, version, table)
    with project.read() as s:
        version = datasets.get_version(s, name, version.number)  # early ones may lack rows
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
    """Return the kind of provenance of a version; older releases only knew files."""
    told = version.provenance.kind
    return told or ("file" if version.source_sha256 else "unknown")


def remake(project: Project, version: DatasetVersion) -> Tabular:
    """Rebuild the rows of a version from its provenance; raises CheckFailedError."""
    try:
        table = _made(project, version)
    except MlkitError as error:
        raise _refusal(version, str(error)) from error
    return _conform(version, table)


def _made(project: Project, version: DatasetVersion) -> Tabular:
    match version.provenance:
        case Log() as made:
            logged = retraining_rows.from_log(project, version.dataset, made)
            return _combined(project, version, made, logged)
        case Window() as made:
            return _combined(project, version, made, None)
        case Join() as made:
            joined: Tabular = joining.again(project, version, made)
            return joined
        case _:
            return _fetched(project, version)


def _fetched(project: Project, version: DatasetVersion) -> Tabular:
    folder = scratch.of_dataset(project, version.dataset.name)
    modes.make_folder(folder)  # not there yet for the base of another version
    ready = sources.again(project, version, folder)
    if ready is None:
        raise CheckFailedError(f"mlkit does not make rows of the kind '{kind(version)}' again")
    rules = Rules(version.schema_yaml, "its rules")
    roles = versioning.own_roles(version.dataset)
    return ready.fetch(Reading(folder, types=acceptance.types(rules, roles))).table


def _combined(
    project: Project, version: DatasetVersion, made: Log | Window, logged: pa.Table | None
) -> Tabular:
    base = _rows_of(project, made.base) if made.base else None
    since = datetime.fromisoformat(made.since) if made.since else None
    table: Tabular = retraining_rows.combine(version.dataset, base, logged, since)[0]
    return table


def _rows_of(project: Project, reference: str) -> pa.Table:
    """Return the rows of another version, rebuilt too if its file was collected."""
    with project.read() as s:
        version = datasets.get_version(s, *ingest.parse_reference(reference))
    if version.collected_at is None:
        return ingest.load_version(project, version)
    table = remake(project, version)
    _verify(project, version, table)
    left = subject.without_erased(project, version, table)
    return left.select(left.column_names)


def _conform(version: DatasetVersion, table: Tabular) -> Tabular:
    """Apply the rules that the version passed: the same types, the same rows left out."""
    time = version.dataset.time_column
    schema = checks.from_yaml(version.schema_yaml, "its rules")
    table, _ = table_warnings.without_infinities(table)
    if version.provenance.quarantine:
        found = list(failing_rules.find(table, schema, rule_failure.Circumstances()))
        mask = quarantine.failing(found, table.num_rows)
        table = table if mask is None else quarantine.rest(table, mask)
    table, _ = checks.keyed(table, target=None, time=time if time in table.column_names else None)
    return checks.conform(table, schema)


def _verify(project: Project, version: DatasetVersion, table: Tabular) -> bool:
    """Compare ``table`` with the recorded digest and tell whether the file was restored.

    Raises CheckFailedError with the first difference.
    """
    left = subject.without_erased(project, version, table)
    if left.num_rows < table.num_rows and _digest(project, table) == version.sha256:
        # collected before an erasure: verified with the subject's rows, stored without them
        subject.record(project, version, left, subject.store(project, left))
        return True
    if _digest(project, left) != version.sha256:
        raise _refusal(version, _difference(project, version, left) + _older_reader_hint(version))
    if version.collected_at is None and project.data.path(version.sha256).is_file():
        return False
    subject.store(project, left)
    failpoints.reach("rebuild.stored")
    _restore(project, version)
    return True


def _digest(project: Project, table: Tabular) -> str:
    """Return the sha256 of the file of these rows."""
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


def _older_reader_hint(version: DatasetVersion) -> str:
    """Return a hint that an older release may have read this CSV file differently."""
    made = version.provenance
    read_as = made.read_as if isinstance(made, File) else UNSET
    if not isinstance(read_as, Csv) or read_as.missing is not UNSET:
        return ""
    return (
        "; it was read by an older release, which took NA for missing, 007 for 7 and quoted digits "
        "for numbers"
    )


def _difference(project: Project, version: DatasetVersion, table: Tabular) -> str:
    """Describe how the rows differ from the recorded ones, if these still exist."""
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
