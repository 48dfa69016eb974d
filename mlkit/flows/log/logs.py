"""Read the prediction log: recent rows from the database and sealed ones from segments, as one."""

from datetime import datetime, timedelta
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.flows.log import log_segments, log_table, log_window
from mlkit.flows.log.imports import sync as sync
from mlkit.flows.log.log_window import LogWindow
from mlkit.flows.log.retention import prune as prune
from mlkit.flows.log.retention import seal as seal
from mlkit.flows.registry import input_schema
from mlkit.project import Project, Session
from mlkit.store import predictions, registry, segments
from mlkit.store.predictions import Selection
from mlkit.store.segments import Segment

_SECOND: Final = timedelta(seconds=1)


def read(
    project: Project,
    model_name: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    version: int | None = None,
    actuals: Literal["any", "required"] = "any",
) -> pa.Table:
    """Return the log of a model from ``start`` until before ``end`` as an Arrow table.

    Columns: those of ``store.log_columns`` with an underscore before the name (``_served_at``),
    then one typed column per feature of the versions in the window. Recent rows come from the
    database, sealed ones from their segments. Sealed days come first; within a day, and among the
    recent ones, rows are in the order in which they were recorded. Raises NotFoundError.
    """
    sync(project)
    with project.read() as s:
        model = registry.get_model(s, model_name)
        version_id = None if version is None else registry.get_version(s, model, version).id
        selection = Selection(model.id, start, end, version_id, with_actual=actuals == "required")
        recent = list(log_table.recent(s, model, selection))
        target = log_table.arrow_schema(list(input_schema.by_number(model).values()))
        sealed = [
            log_table.conform(_sealed(project, s, segment, selection, version), target)
            for segment in segments.overlapping(s, model.id, start, end)
        ]
        return log_table.join([*sealed, *recent], model)


def newest(project: Project, model_name: str, *, version: int, rows: int) -> pa.Table:
    """Return the newest ``rows`` rows of a version in the form of ``read``."""
    sync(project)
    with project.read() as s:
        model = registry.get_model(s, model_name)
        selection = Selection(model.id, version_id=registry.get_version(s, model, version).id)
        times = predictions.newest_times(s, selection, rows)
        waiting = rows - len(times)
        found = segments.overlapping(s, model.id, None, None) if waiting else []
    for segment in sorted(found, key=lambda each: each.max_time, reverse=True):
        if waiting > 0:
            times.append(segment.min_time)
            waiting -= log_window.sealed(project, segment, selection, version).rows
    start = min(times) - _SECOND if times else None  # SQLite stores whole seconds as a shorter text
    table = read(project, model_name, start=start, version=version)
    return table.slice(max(0, table.num_rows - rows))


def window(
    project: Project,
    model_name: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    version: int | None = None,
) -> LogWindow:
    """Return the rows of ``read`` without actuals, to be read column by column."""
    sync(project)
    with project.read() as s:
        model = registry.get_model(s, model_name)
        version_id = None if version is None else registry.get_version(s, model, version).id
        selection = Selection(model.id, start, end, version_id)
        recent = log_table.union(list(log_table.recent(s, model, selection)), model)
        found = segments.overlapping(s, model.id, start, end)
        sealed = [log_window.sealed(project, each, selection, version) for each in found]
    return LogWindow(recent, [part for part in sealed if part.rows])


def _sealed(
    project: Project, s: Session, segment: Segment, selection: Selection, version: int | None
) -> pa.Table:
    """Return the selected rows of a segment, with the actuals that came later."""
    table = log_segments.choose(log_segments.load(project, segment), selection, version)
    if table.num_rows:
        ends = pc.min_max(table["_id"]).as_py()
        late = predictions.actuals_between(s, ends["min"], ends["max"])
        table = log_table.fill(table, late)
    return table.filter(table["_actual"].is_valid()) if selection.with_actual else table
