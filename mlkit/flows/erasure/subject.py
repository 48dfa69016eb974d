"""Erase a subject from a dataset: from its versions, its models' logs, and all future versions.

The subject is recorded first, so that the next ``erase`` of the dataset completes what a kill
interrupted. Each step writes the new file, then the row that names it, then deletes the old file.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mlkit.errors import BusyError, InvalidInputError
from mlkit.flows.data import ingest, leftovers, subjects, version_files
from mlkit.flows.data.subjects import Subjects
from mlkit.flows.erasure import elsewhere, joins, log, memory, values
from mlkit.progress import Progress, silent
from mlkit.project import Project, Session
from mlkit.store import audit, datasets, erasures, purge
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.disk import failpoints
from mlkit.store.erasures import Erasure

if TYPE_CHECKING:
    from mlkit.steps.tables.tabular import Tabular


class Rewritten(msgspec.Struct, frozen=True):
    """A version whose file was rewritten.

    ``rows`` were deleted; ``cleared`` ones stay, without the subject's values of feature views.
    """

    reference: str
    rows: int
    sha256: str
    cleared: int = 0


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased; ``models`` were trained on erased rows and may still reproduce them.

    ``unknown`` are entities without any data.
    """

    dataset: str
    subjects: int
    versions: tuple[Rewritten, ...]
    predictions: int
    models: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def erase(
    project: Project,
    name: str,
    entities: Sequence[str],
    *,
    reason: str = "",
    progress: Progress | None = None,
) -> Erased:
    """Erase the rows about ``entities``, and keep them out of later versions of the dataset.

    Rows of datasets joined from it are erased too, and the values of its feature views in joined
    rows. Without any entity, unfinished erasures are completed. Raises InvalidInputError if the
    dataset has no entity column, or nothing is unfinished, and BusyError while somebody adds,
    joins, trains, or materialises.
    """
    say = progress or silent
    with version_files.deleted(project):
        names = _remember(project, name, entities, reason) if entities else _cut_off(project, name)
        failpoints.reach("erase.asked")
        parts = [_erase(project, each, say) for each in names]
    return Erased(
        dataset=name,
        subjects=len(set(entities)),
        versions=tuple(one for part in parts for one in part.versions),
        predictions=sum(part.predictions for part in parts),
        models=tuple(dict.fromkeys(one for part in parts for one in part.models)),
        unknown=_unknown(project, names, parts, entities),
    )


def _unknown(
    project: Project, names: Sequence[str], parts: "Sequence[_Part]", entities: Sequence[str]
) -> tuple[str, ...]:
    """Return the entities that were found in no dataset."""

    def is_met(entity: str) -> bool:
        met = zip(names, (part.met for part in parts), strict=True)
        return any(subjects.hashed(project.key, name, entity) in found for name, found in met)

    return tuple(entity for entity in dict.fromkeys(entities) if not is_met(entity))


def resume(project: Project) -> str:
    """Complete interrupted and refused erasures; return one line about it, or nothing.

    One that is still blocked by another process is left for the next time.
    """
    with project.read() as s:
        waiting = erasures.unfinished(s)
    said = []
    for name in waiting:
        try:
            erase(project, name, [])
        except BusyError as error:
            said.append(f"an erasure of '{name}' is not finished: {error}")
        else:
            said.append(f"finished an erasure of '{name}'")
    return ", ".join(said)


class _Part(NamedTuple):
    """The result for one dataset."""

    versions: list[Rewritten]
    predictions: int
    models: list[str]
    met: set[str]


def _erase(project: Project, name: str, say: Progress) -> _Part:
    with project.read() as s:
        dataset = datasets.get(s, name)
    erased = subjects.of(project, name)
    say(f"looking for what only they had in {name}")
    memory.forget(project, dataset, erased)
    say(f"rewriting versions of {name}")
    versions = _rewrite_versions(project, dataset, erased)
    versions += _clear_joined(project, dataset, erased)
    say("rewriting the log")
    predictions = log.erase(project, dataset, erased)
    elsewhere.erase(project, dataset, erased)
    _delete_old(project)
    leftovers.remove_dead(project)  # its rows cannot be searched for subjects
    purge.purge(project.database, patience_s=project.settings.db.busy_timeout_s)
    with project.write() as s:
        erasures.finish(s, dataset.id, project.now())
    models = values.trained_on(project, {one.reference for one in versions})
    return _Part(versions, predictions, models, erased.met)


def _cut_off(project: Project, name: str) -> list[str]:
    """Return ``name`` and joins of it with an unfinished erasure; raises InvalidInputError."""
    with project.read() as s:
        datasets.get(s, name)
        unfinished = erasures.unfinished(s)
        found = [each for each in [name, *joins.descendants(s, name)] if each in unfinished]
    if not found:
        raise InvalidInputError(
            f"no erasure of dataset '{name}' was cut off; name the entities to be erased"
        )
    return found


def without_erased(project: Project, version: DatasetVersion, table: "Tabular") -> "Tabular":
    """Return the rows of a rebuilt version without those of erased subjects."""
    dataset = version.dataset
    return subjects.of(project, dataset.name).without(table, dataset.entity_column)


def store(project: Project, table: "Tabular") -> str:
    """Store the remaining rows of a version and return their digest."""
    from mlkit.steps.reading import frames  # imports pyarrow

    part = project.data.scratch()
    try:
        frames.write_parquet(table, part)
        return project.data.adopt(part)
    finally:
        part.unlink(missing_ok=True)


def record(project: Project, version: DatasetVersion, table: "Tabular", sha256: str) -> None:
    """Point the version to its new file; its number and history are kept."""
    from mlkit.steps.quality import profile  # imports pandas

    described = [msgspec.to_builtins(each) for each in profile.describe(table)]
    with project.write() as s:
        row = s.get_one(DatasetVersion, version.id)
        lost = row.rows - table.num_rows
        audit.record(
            s, project.now(), actor=project.actor, action=log.ACTION, subject=row.reference,
            details={"rows": lost, "file": row.sha256, "sha256": sha256},
        )  # fmt: skip
        row.erased_rows += lost
        row.rows, row.sha256, row.profile = table.num_rows, sha256, {"columns": described}
        row.collected_at = None


def _remember(project: Project, name: str, entities: Sequence[str], reason: str) -> list[str]:
    """Record these subjects for erasure from ``name`` and its descendants; return those datasets.

    This is one transaction before the first deletion, and stores hashes only. A joined dataset
    takes the entity column of its base, even if the base got it later.
    """
    with project.write() as s:
        dataset = datasets.get(s, name)
        if dataset.entity_column is None:
            raise InvalidInputError(
                f"dataset '{name}' does not say whom its rows are about; {_entity_advice(s, name)}"
            )
        names = [name, *joins.descendants(s, name)]
        for each in names:
            descendant = datasets.get(s, each)
            descendant.entity_column = descendant.entity_column or dataset.entity_column
            _write_down(s, project, descendant, entities, reason)
    return names


def _entity_advice(s: Session, name: str) -> str:
    """Return the advice for giving a dataset its missing entity column."""
    made = datasets.get_version(s, name).join
    if made is not None:
        base = ingest.parse_reference(made.base)[0]
        return f"it is joined to '{base}': tell that one, then erase from '{base}'"
    return "add its file once more with --entity COLUMN"


def _write_down(
    s: Session, project: Project, dataset: Dataset, entities: Sequence[str], reason: str
) -> None:
    known = {each.subject: each for each in erasures.of_dataset(s, dataset.id)}
    hashes = {subjects.hashed(project.key, dataset.name, entity) for entity in entities}
    for subject in sorted(hashes):
        if subject in known:
            known[subject].done_at = None  # rows may have been added since
            continue
        s.add(Erasure(
            dataset_id=dataset.id, subject=subject, reason=reason, asked_by=project.actor,
            asked_at=project.now(),
        ))  # fmt: skip
    audit.record(
        s, project.now(), actor=project.actor, action=log.ACTION, subject=dataset.name,
        details={"subjects": sorted(hashes), "reason": reason},
    )  # fmt: skip


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
            sha256 = _rewrite(project, version, left)
            lost = table.num_rows - left.num_rows
            found.append(Rewritten(version.reference, lost, sha256))
    return found


def _rewrite(project: Project, version: DatasetVersion, left: "Tabular") -> str:
    sha256 = store(project, left)
    failpoints.reach("erase.stored")
    record(project, version, left, sha256)
    failpoints.reach("erase.recorded")
    return sha256


def _clear_joined(project: Project, dataset: Dataset, erased: Subjects) -> list[Rewritten]:
    """Clear the subjects' values of views over ``dataset`` in joined rows."""
    with project.read() as s:
        having = joins.traces(s, dataset)
    found = []
    for version, traces in having:
        if version.collected_at is not None:
            continue
        left, rows = joins.clear(ingest.load_version(project, version), traces, erased)
        if rows:
            sha256 = _rewrite(project, version, left)
            found.append(Rewritten(version.reference, 0, sha256, cleared=rows))
    return found


def _delete_old(project: Project) -> None:
    """Delete all files replaced by an erasure, also by a killed one."""
    with project.read() as s:
        events = [event.details for event in audit.of_action(s, log.ACTION)]
    for details in events:
        if "file" in details:
            project.data.remove(details["file"], partial(_unused, project, details["file"]))
        if "segment" in details:
            log.delete_segment(project, details["segment"])
        failpoints.reach("erase.deleted")
    for store, digest in memory.replaced(project):
        store.remove(digest, lambda: True)


def _unused(project: Project, sha256: str) -> bool:
    with project.read() as s:
        return sha256 not in datasets.blobs(s)
