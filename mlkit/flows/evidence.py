"""What the log and the registry say of a version, as the monitors want it. No verdict here."""

from datetime import datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit import settings
from mlkit.flows import deploy, logs
from mlkit.project import Project
from mlkit.steps import metrics, prediction_columns, reference
from mlkit.steps.answers import Predictions
from mlkit.steps.columns import InputSchema
from mlkit.steps.performance import Holdout
from mlkit.steps.reference import Reference
from mlkit.store.registry import ModelVersion


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The stretch of the log that was judged, both ends included."""

    start: datetime
    end: datetime


def window(project: Project, length: str) -> Window:
    """Return the time from ``length`` ago until now."""
    end = project.now()
    return Window(start=end - settings.duration(length), end=end)


def rows(project: Project, version: ModelVersion, stretch: Window) -> pa.Table:
    """Return the rows of this version alone, so that a deployment is no drift."""
    after = stretch.end + timedelta(microseconds=1)
    return logs.read(
        project,
        version.model.name,
        start=stretch.start,
        end=after,
        version=version.number,
    )


def reference_of(project: Project, version: ModelVersion) -> Reference:
    """Return what the version was trained and judged on looked like."""
    return reference.load(project.references.read(version.reference_sha256))


def span_s(rows: pa.Table) -> float | None:
    """Return the seconds from the first request of ``rows`` to the last."""
    if not rows.num_rows:
        return None
    extremes = pc.min_max(rows["_served_at"]).as_py()
    return float((extremes["max"] - extremes["min"]).total_seconds())


def with_answers(version: ModelVersion, rows: pa.Table) -> pa.Table:
    """Return ``rows`` with the answers to them as further columns."""
    schema = deploy.input_schema(version)
    values, probabilities = (rows[name].to_pylist() for name in ("_value", "_probabilities"))
    said = prediction_columns.table(schema, values, probabilities)
    for name in said.column_names:
        rows = rows.append_column(name, said.column(name))
    return rows


def losses(version: ModelVersion, rows: pa.Table) -> tuple[str, np.ndarray]:
    """Return the metric that the version is judged by, and the loss of each row."""
    schema = deploy.input_schema(version)
    found = answers(version, schema, rows)
    metric = metrics.primary(found, task=schema.task)
    if not rows.num_rows:
        return metric, np.zeros(0)
    actuals = rows["_actual"].to_pylist()
    return metric, metrics.losses(metric, found, actuals, schema.classes)


def holdout(version: ModelVersion, metric: str) -> Holdout:
    """Return the loss of the version on its holdout."""
    found, limits = version.metrics, version.intervals
    if metric in found:
        return Holdout(found[metric], limits.get(metric, (0.0, found[metric]))[1])
    accuracy = found["accuracy"]
    return Holdout(1 - accuracy, 1 - limits.get("accuracy", (accuracy, 1.0))[0])


def answers(version: ModelVersion, schema: InputSchema, rows: pa.Table) -> Predictions:
    """Return what the version answered to ``rows``, as its estimator would."""
    given = rows["_probabilities"].to_pylist()
    told = "log_loss" in version.metrics and all(row is not None for row in given)
    shape = len(given), len(schema.classes)
    return Predictions(
        values=rows["_value"].to_pylist(),
        probabilities=np.array(given, dtype=float).reshape(shape) if told else None,
    )
