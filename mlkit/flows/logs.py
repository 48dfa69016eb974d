"""The prediction log as readers see it: one log, wherever its rows are at the moment."""

from datetime import datetime
from typing import Literal

import msgspec
import pyarrow as pa

from mlkit.flows import log_segments, log_table
from mlkit.flows.log_import import sync as sync
from mlkit.project import Project
from mlkit.steps.columns import InputSchema
from mlkit.store import predictions, registry, segments
from mlkit.store.predictions import Selection


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
        schemas = {v.id: msgspec.convert(v.input_schema, InputSchema) for v in model.versions}
        numbers = {v.id: v.number for v in model.versions}
        target = log_table.arrow_schema(list(schemas.values()))
        tables = [target.empty_table()]
        for rows in predictions.logged(s, selection):
            for found in {row.version_id for row in rows}:
                part = [row for row in rows if row.version_id == found]
                tables.append(log_table.build(part, schemas[found], numbers[found], target))
        for segment in segments.overlapping(s, model.id, start, end):
            table = log_segments.choose(log_segments.load(project, segment), selection, version)
            late = predictions.actuals_of(s, log_table.without_actual(table))
            table = log_table.fill(table, late)
            if selection.with_actual:
                table = table.filter(table["_actual"].is_valid())
            tables.append(log_table.conform(table, target))
    return log_table.join(tables, {numbers[i]: schema for i, schema in schemas.items()})
