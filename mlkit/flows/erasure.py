"""Erase a subject from a dataset: from its versions, from the log of its models, and for good.

The subject is remembered first, so that whatever a kill leaves undone the next ``erase`` of the
dataset does; each step is a file first, then the row that names it, then the old file.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from mlkit.errors import InvalidInputError
from mlkit.flows import erasure_elsewhere, erasure_log, ingest, subjects
from mlkit.flows.subjects import Subjects
from mlkit.project import Project
from mlkit.store import audit, datasets, erasures, failpoints, registry
from mlkit.store.audit import AuditEvent
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.erasures import Erasure

if TYPE_CHECKING:
    from mlkit.steps.tabular import Tabular

Report = Callable[[str], None]


class Rewritten(msgspec.Struct, frozen=True):
    """A version whose file is another now."""

    reference: str
    rows: int
    sha256: str


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased; ``models`` were trained on rows that are gone, and still know them."""

    dataset: str
    subjects: int
    versions: tuple[Rewritten, ...]
    predictions: int
    models: tuple[str, ...]


def erase(
    project: Project,
    name: str,
    entities: Sequence[str],
    *,
    reason: str = "",
    progress: Report | None = None,
) -> Erased:
    """Erase the rows about ``entities``, and let no later version of the dataset have them.

    Those of datasets that were joined to it go too. Without any entity, finish what was cut off.
    Raises InvalidInputError if the dataset has no entity column, or nothing is to be finished.
    """
    say = progress or _silent
    names = [*erasure_elsewhere.joined(project, name), name]
    if not entities:
        names = _cut_off(project, name, names)
    parts = [_erase(project, each, entities, reason, say) for each in names]
    return Erased(
        dataset=name,
        subjects=len(set(entities)),
        versions=tuple(one for part in parts for one in part.versions),
        predictions=sum(part.predictions for part in parts),
        models=tuple(dict.fromkeys(one for part in parts for one in part.models)),
    )


def _erase(
    project: Project, name: str, entities: Sequence[str], reason: str, say: Report
) -> Erased:
    busy = f"another process is adding to dataset '{name}'; try again"
    with project.lock(f"data-{name}", busy=busy):
        dataset = _remember(project, name, entities, reason)
        failpoints.reach("erase.asked")
        erased = subjects.of(project, name)
        say(f"rewriting versions of {name}")
        versions = _rewrite_versions(project, dataset, erased)
        say("rewriting the log")
        predictions = erasure_log.erase(project, dataset, erased)
        erasure_elsewhere.erase(project, dataset, erased)
        _delete_old(project)
        with project.write() as s:
            erasures.finish(s, dataset.id, project.now())
    return Erased(
        dataset=name,
        subjects=len(set(entities)),
        versions=tuple(versions),
        predictions=predictions,
        models=tuple(_models(project, {one.reference for one in versions})),
    )


def _cut_off(project: Project, name: str, names: Sequence[str]) -> list[str]:
    """Return those of ``names`` whose erasure is not finished; raises InvalidInputError."""
    with project.read() as s:
        datasets.get(s, name)
        unfinished = erasures.unfinished(s)
    found = [each for each in names if each in unfinished]
    if not found:
        raise InvalidInputError(
            f"no erasure of dataset '{name}' was cut off; name the entities to be erased"
        )
    return found


def without_erased(project: Project, version: DatasetVersion, table: "Tabular") -> "Tabular":
    """Return the rows of a version that is made again, but for those of erased subjects."""
    dataset = version.dataset
    return subjects.of(project, dataset.name).without(table, dataset.entity_column)


def store(project: Project, table: "Tabular") -> str:
    """Store the rows that a version has left and return their digest."""
    from mlkit.steps import frames  # pyarrow

    part = project.data.scratch()
    try:
        frames.write_parquet(table, part)
        return project.data.adopt(part)
    finally:
        part.unlink(missing_ok=True)


def record(project: Project, version: DatasetVersion, table: "Tabular", sha256: str) -> None:
    """Let the version name its new file; its number and its history stay."""
    from mlkit.steps import profile  # pandas

    described = [msgspec.to_builtins(each) for each in profile.describe(table)]
    with project.write() as s:
        row = s.get_one(DatasetVersion, version.id)
        lost = row.rows - table.num_rows
        audit.record(
            s, project.now(), actor=project.actor, action=erasure_log.ACTION, subject=row.reference,
            details={"rows": lost, "file": row.sha256, "sha256": sha256},
        )  # fmt: skip
        row.erased_rows += lost
        row.rows, row.sha256, row.profile = table.num_rows, sha256, {"columns": described}
        row.collected_at = None


def _silent(_message: str) -> None:
    """Report nothing."""


def _remember(project: Project, name: str, entities: Sequence[str], reason: str) -> Dataset:
    """Write down that these subjects are to be erased, by their hashes alone."""
    with project.write() as s:
        dataset = datasets.get(s, name)
        if dataset.entity_column is None:
            raise InvalidInputError(
                f"dataset '{name}' does not say whom its rows are about; add its file once more "
                "with --entity COLUMN"
            )
        known = {each.subject: each for each in erasures.of_dataset(s, dataset.id)}
        if not entities:
            return dataset
        hashes = {subjects.hashed(project.key, name, entity) for entity in entities}
        for subject in sorted(hashes):
            if subject in known:
                known[subject].done_at = None  # rows may have come since
                continue
            s.add(Erasure(
                dataset_id=dataset.id, subject=subject, reason=reason, asked_by=project.actor,
                asked_at=project.now(),
            ))  # fmt: skip
        audit.record(
            s, project.now(), actor=project.actor, action=erasure_log.ACTION, subject=name,
            details={"subjects": sorted(hashes), "reason": reason},
        )  # fmt: skip
    return dataset


def _rewrite_versions(project: Project, dataset: Dataset, erased: Subjects) -> list[Rewritten]:
    with project.read() as s:
        versions = [v for v in datasets.outline(s) if v.dataset_id == dataset.id]
    found = []
    for version in versions:
        if version.collected_at is not None:
            continue
        table = ingest.load_version(project, version)
        left = erased.without(table, dataset.entity_column)
        if left.num_rows < table.num_rows:
            sha256 = store(project, left)
            failpoints.reach("erase.stored")
            record(project, version, left, sha256)
            failpoints.reach("erase.recorded")
            lost = table.num_rows - left.num_rows
            found.append(Rewritten(version.reference, lost, sha256))
    return found


def _delete_old(project: Project) -> None:
    """Delete every file that an erasure has replaced, those that a killed one left included."""
    with project.read() as s:
        query = select(AuditEvent).where(AuditEvent.action == erasure_log.ACTION)
        events = [event.details for event in s.scalars(query)]
        held = datasets.blobs(s)
    for details in events:
        if "file" in details and details["file"] not in held:
            project.data.remove(details["file"], lambda: True)
        if "segment" in details:
            erasure_log.delete_segment(project, details["segment"])
        failpoints.reach("erase.deleted")


def _models(project: Project, references: set[str]) -> list[str]:
    """Return the model versions that were trained on rows that are gone now."""
    with project.read() as s:
        by_id = {v.id: v.reference for v in datasets.outline(s)}
        return [
            f"{one.model} v{one.number}"
            for one in registry.outline(s)
            if by_id[one.dataset_version_id] in references
        ]
