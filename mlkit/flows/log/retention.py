"""Retention of the prediction log: seal old rows, delete expired ones."""

import functools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta

import msgspec

from mlkit.errors import BusyError
from mlkit.flows.data.leftovers import sweep
from mlkit.flows.data.turns import Turns
from mlkit.flows.log import imports, log_segments, log_table
from mlkit.project import Project
from mlkit.settings.table import duration
from mlkit.store import audit, corrections, predictions, requests, runs, segments
from mlkit.store.disk import failpoints
from mlkit.store.predictions import Selection
from mlkit.store.registry import Model

_DAY = timedelta(days=1)
_ATTEMPTS = 5


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """The rows moved out of the database."""

    rows: int
    segments: int
    before: datetime


class _Changed(Exception):  # noqa: N818  # no error: an actual came meanwhile
    """The rows in the database differ from those in the file."""


def seal(project: Project, *, older_than: str | None = None) -> Sealed:
    """Move rows older than ``older_than`` (default: ``log.seal_after``) to Parquet segments.

    An age of a day or more is rounded to whole UTC days, so that a day is one segment.
    """
    age = duration(older_than or project.settings.log.seal_after)
    cutoff = project.now() - age
    if age >= _DAY:
        cutoff = datetime.combine(cutoff.date(), time(), UTC)
    imports.sync(project)
    with project.read() as s:
        oldest = predictions.oldest(s)
        models = {model_id: s.get_one(Model, model_id).name for model_id in oldest}
    turns, chunks = Turns(), list[int]()
    for model_id, first in oldest.items():
        name = models[model_id]
        sealing = _seal_model(project, name, model_id, _days(first, cutoff))
        turns.take(name, functools.partial(chunks.extend, sealing))
    turns.settle()
    return Sealed(rows=sum(chunks), segments=len(chunks), before=cutoff)


def prune(project: Project) -> str:
    """Seal old rows, delete those beyond ``log.keep`` and ``jobs.keep``, and leftover files.

    Returns a one-line summary. A step that fails does not stop the others.
    """
    turns, now = Turns(), project.now()
    sealed = turns.take("sealing", lambda: seal(project))
    keep_from = now - duration(project.settings.log.keep)
    rows = turns.take("deleting old predictions", lambda: _drop_segments(project, keep_from))
    turns.take("forgetting old requests", lambda: _forget_requests(project, keep_from))
    forgotten = turns.take("deleting old job runs", lambda: _forget_runs(project, now))
    files = turns.take("sweeping", lambda: sweep(project))
    count = (sealed.rows, sealed.segments) if sealed else (0, 0)
    done = (
        f"sealed {count[0]} predictions into {count[1]} segments, deleted {rows or 0} old "
        f"predictions, {forgotten or 0} old job runs and {files or 0} leftover files"
    )
    turns.settle(done)
    return done


def _forget_requests(project: Project, before: datetime) -> None:
    with project.write() as s:
        requests.prune(s, before)


def _forget_runs(project: Project, now: datetime) -> int:
    with project.write() as s:
        return runs.prune(s, now - duration(project.settings.jobs.keep))


def _seal_model(
    project: Project, name: str, model_id: int, days: Iterable[tuple[datetime, datetime]]
) -> Iterator[int]:
    """Seal the days of one model and yield the rows of each segment."""
    for start, end in days:
        while moved := _seal_chunk(project, name, Selection(model_id, start, end)):
            yield moved


def _seal_chunk(project: Project, name: str, selection: Selection) -> int:
    """Seal the first rows of ``selection``; return how many, 0 when none is left.

    The file is written first. One transaction deletes the rows and adds the segment, so a reader
    finds each row in exactly one place.
    """
    for _ in range(_ATTEMPTS):
        with project.read() as s:
            last_correction = corrections.last(s)
            model = s.get_one(Model, selection.model_id)
            chunk = next(log_table.recent(s, model, selection), None)
            if chunk is None:
                return 0
            table = log_table.join([chunk], model)
        segment = log_segments.write(project, name, selection, table)
        failpoints.reach("seal.file")
        rows = int(table.num_rows)
        expected = (rows, rows - table["_actual"].null_count)
        try:
            with project.write() as s:
                s.add(segment)
                if not (project.root / segment.path).is_file():  # erased meanwhile
                    raise _Changed
                if corrections.last(s) != last_correction:
                    raise _Changed
                if predictions.remove(s, selection, segment.max_seq) != expected:
                    raise _Changed
        except _Changed:
            (project.root / segment.path).unlink(missing_ok=True)
            continue
        return rows
    raise BusyError(f"actuals for {name} keep arriving for the rows to be sealed; try again")


def _days(first: datetime, cutoff: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield each UTC day from ``first`` on, the last one until ``cutoff``."""
    start = datetime.combine(first.date(), time(), UTC)
    while start < cutoff:
        yield start, min(start + _DAY, cutoff)
        start += _DAY


def _drop_segments(project: Project, cutoff: datetime) -> int:
    """Delete the segments that end before ``cutoff``, with their late actuals."""
    rows = 0
    with project.read() as s:
        old = segments.ended_before(s, cutoff)
    for segment in old:
        ids = log_segments.ids(project, segment)
        with project.write() as s:
            predictions.forget_actuals(s, ids)
            audit.touch(s, segment)
            segments.remove(s, segment.id)
        failpoints.reach("prune.row")
        (project.root / segment.path).unlink(missing_ok=True)
        rows += segment.rows
    return rows
