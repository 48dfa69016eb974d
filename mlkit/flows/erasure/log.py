"""Erase a subject from the prediction log: database, segments, and lists of picked predictions."""

import time
from collections.abc import Iterable

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import BusyError
from mlkit.flows.data.subjects import Subjects
from mlkit.flows.log import imports, log_segments
from mlkit.flows.training import retraining_rows
from mlkit.project import Project, Session
from mlkit.provenance import Log
from mlkit.store import audit, datasets, journal, predictions, registry, requests, segments
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.disk import failpoints
from mlkit.store.predictions import Selection
from mlkit.store.registry import Model
from mlkit.store.segments import Segment

ACTION = "data erase"
_TURNS = 10
_CLEAN = 2


def erase(project: Project, dataset: Dataset, erased: Subjects) -> int:
    """Delete the predictions of the models of ``dataset`` about the subjects; return how many.

    Rows can move between database and segments meanwhile, so it repeats until a pass finds nothing.
    Servers may still hold rows in their journals: while there are journals, two empty passes in a
    row are required. Raises BusyError if that does not happen.
    """
    with project.read() as s:
        models = registry.taught_by(s, dataset.id)
    gone: set[str] = set()
    clean = 0
    for _ in range(_TURNS):
        ids = _erase_once(project, models, erased)
        gone |= ids
        clean = 0 if ids else clean + 1
        waiting = any(journal.files(project.journal_dir))
        if clean == _CLEAN or (clean and not waiting):
            break
        if not waiting:
            continue
        time.sleep(2 * project.settings.log.import_s)  # servers rotate their journals meanwhile
    else:
        raise BusyError(
            "a server goes on answering about the subject, or keeps its journal; when that has "
            f"ended, finish with: mlkit data erase {dataset.name} --yes"
        )
    return len(gone)


def _erase_once(project: Project, models: list[int], erased: Subjects) -> set[str]:
    """Make one pass: delete the predictions about the subjects and return their ids.

    The lists of picked predictions come first, because the log tells which ids to remove.
    """
    imports.sync(project)
    found = {model_id: _prediction_ids(project, model_id, erased) for model_id in models}
    ids = {identifier for each in found.values() for identifier in each}
    _forget_picked(project, ids)
    for model_id in models:
        _rewrite_segments(project, model_id, erased)
        _delete_unnamed(project, model_id)
        _delete_recent(project, found[model_id])
    return ids


def delete_segment(project: Project, path: str) -> None:
    """Delete the file of a segment that was rewritten."""
    with project.read() as s:
        named = segments.paths(s)
    if path not in named:
        (project.root / path).unlink(missing_ok=True)


def _delete_unnamed(project: Project, model_id: int) -> None:
    """Delete the sealed files of a model that no row names: they are not searched for subjects.

    Done under the write lock, so that a sealing process about to name one finds it missing.
    """
    with project.write() as s:
        named = segments.paths(s)
        folder = project.log_dir / s.get_one(Model, model_id).name
        for file in folder.glob("*/*.parquet"):
            if file.relative_to(project.root).as_posix() not in named:
                file.unlink()


def _prediction_ids(project: Project, model_id: int, erased: Subjects) -> list[str]:
    """Return the ids of the predictions about the subjects, sealed or not."""
    with project.read() as s:
        found = [i for i, entity in predictions.entities(s, model_id) if erased.has(entity)]
        sealed = segments.overlapping(s, model_id, None, None)
    for segment in sealed:
        found += _subject_ids(log_segments.load(project, segment), erased)["_id"].to_pylist()
    return found


def _subject_ids(table: pa.Table, erased: Subjects) -> pa.Table:
    entities = table["_entity"]
    theirs = [value for value in entities.unique().to_pylist() if erased.has(value)]
    return table.filter(pc.is_in(entities, value_set=pa.array(theirs, entities.type)))


def _forget_picked(project: Project, ids: set[str]) -> None:
    """Remove the predictions from the lists that dataset versions are rebuilt from."""
    if not ids:
        return
    with project.read() as s:
        versions = datasets.outline(s)
    for version in versions:
        made = version.provenance
        if not isinstance(made, Log) or not made.picked:
            continue
        picked = retraining_rows.stored(project, made.picked)
        theirs = pc.is_in(picked["_id"], value_set=pa.array(sorted(ids), pa.string()))
        if not pc.any(theirs).as_py():
            continue
        new = retraining_rows.store(project, picked.filter(pc.invert(theirs)))
        with project.write() as s:
            row = s.get_one(DatasetVersion, version.id)
            row.provenance = msgspec.structs.replace(made, picked=new)
            details = {"predictions": pc.sum(theirs).as_py(), "file": made.picked}
            _audit(s, project, row.reference, details)
        failpoints.reach("erase.picked")


def _rewrite_segments(project: Project, model_id: int, erased: Subjects) -> None:
    with project.read() as s:
        sealed = segments.overlapping(s, model_id, None, None)
        name = s.get_one(Model, model_id).name
    for segment in sealed:
        table = log_segments.load(project, segment)
        gone = _subject_ids(table, erased)
        ids = gone["_id"]
        if not len(ids):
            continue
        left = table.filter(pc.invert(pc.is_in(table["_id"], value_set=ids.combine_chunks())))
        _replace(project, name, segment, left, gone)
        failpoints.reach("erase.segment")
        delete_segment(project, segment.path)


def _replace(
    project: Project, model: str, segment: Segment, left: pa.Table, gone: pa.Table
) -> None:
    """Point the row of a segment to a file with the remaining rows; without any, delete the row."""
    ids = gone["_id"].to_pylist()
    asked = list(zip(gone["_request_id"].to_pylist(), ids, strict=True))
    start = segment.min_time
    new = None
    if left.num_rows:
        new = log_segments.write(project, model, Selection(segment.model_id, start), left)
    with project.write() as s:
        row = s.get_one(Segment, segment.id)
        _audit(s, project, model, {"predictions": len(ids), "segment": segment.path})
        predictions.forget_actuals(s, ids)
        requests.forget(s, segment.model_id, asked)
        if new is None:
            s.delete(row)
            return
        for field in ("path", "sha256", "rows", "min_seq", "max_seq", "min_time", "max_time"):
            setattr(row, field, getattr(new, field))


def _delete_recent(project: Project, ids: Iterable[str]) -> None:
    with project.write() as s:
        predictions.forget(s, list(ids))


def _audit(s: Session, project: Project, subject: str, details: dict[str, object]) -> None:
    audit.record(
        s, project.now(), actor=project.actor, action=ACTION, subject=subject, details=details
    )
