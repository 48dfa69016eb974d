"""The prediction log as readers see it: one log, wherever its rows are at the moment."""

from datetime import datetime
from typing import Literal

import pyarrow as pa
from sqlalchemy.orm import Session

from mlkit.flows import log_segments, log_table
from mlkit.flows.log_import import sync as sync
from mlkit.flows.log_retention import prune as prune
from mlkit.flows.log_retention import seal as seal
from mlkit.project import Project
from mlkit.store import predictions, registry, segments
from mlkit.store.predictions import Selection
from mlkit.store.segments import Segment


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

    Columns: ``_seq``, ``_id``, ``_request_id``, ``_version``, ``_role``, ``_entity``,
    ``_served_at``, ``_latency_us``, ``_value``, ``_probabilities``, ``_actual``,
    ``_observed_at``, then one typed column per feature of the versions found. Recent rows come
    from the database, sealed ones from their segments. Raises NotFoundError.
    """
    sync(project)
    with project.read() as s:
        model = registry.get_model(s, model_name)
        version_id = None if version is None else registry.get_version(s, model, version).id
        selection = Selection(model.id, start, end, version_id, with_actual=actuals == "required")
        tables = list(log_table.recent(s, model, selection))
        target = log_table.arrow_schema(list(log_table.input_schemas(model).values()))
        for segment in segments.overlapping(s, model.id, start, end):
            sealed = _sealed(project, s, segment, selection, version)
            tables.append(log_table.conform(sealed, target))
        return log_table.join(tables, model)


def _sealed(
    project: Project, s: Session, segment: Segment, selection: Selection, version: int | None
) -> pa.Table:
    """Return the rows of a segment that are asked for, with the actuals that came later."""
    table = log_segments.choose(log_segments.load(project, segment), selection, version)
    table = log_table.fill(table, predictions.actuals_of(s, log_table.without_actual(table)))
    return table.filter(table["_actual"].is_valid()) if selection.with_actual else table
