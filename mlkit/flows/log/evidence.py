"""Inputs of the monitors: a version's logged rows, reference and holdout. No verdicts here."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import ConflictError, DamagedError
from mlkit.flows.log import logs
from mlkit.flows.log.log_window import LogWindow
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.settings import table
from mlkit.steps.drift import reference, times
from mlkit.steps.drift.reference import Reference
from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import metrics
from mlkit.steps.performance.capped import Capped
from mlkit.steps.performance.judge import Holdout
from mlkit.steps.performance.rise import Sample
from mlkit.steps.performance.slices import Sheet
from mlkit.store.registry import ModelVersion

_HALF_95 = 1.96  # z(0.975): half-width of a 95 % interval in standard errors


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The time window of the log that was evaluated, both ends included."""

    start: datetime
    end: datetime


class Asked(msgspec.Struct, frozen=True):
    """Rows of the log with their predictions and serving time as additional columns."""

    rows: pa.Table | LogWindow
    answers: pa.Table

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.rows.num_rows)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return [*self.rows.column_names, *self.answers.column_names, times.MOMENT]

    def column(self, name: str) -> Any:
        """Return the values of one column."""
        if name == times.MOMENT:
            return self.rows.column("_served_at")
        named = name in self.answers.column_names
        return (self.answers if named else self.rows).column(name)


def window(project: Project, length: str) -> Window:
    """Return the window from ``length`` ago until now."""
    end = project.now()
    return Window(start=end - table.duration(length), end=end)


def asked(project: Project, version: ModelVersion, stretch: Window) -> "Asked":
    """Return the requests to this version only, so that a deployment does not look like drift."""
    rows = logs.window(
        project,
        version.model.name,
        start=stretch.start,
        end=_after(stretch),
        version=version.number,
    )
    return with_answers(version, rows)


def rows(project: Project, version: ModelVersion, stretch: Window) -> pa.Table:
    """Return the logged rows of this version only, with their actuals."""
    return logs.read(
        project,
        version.model.name,
        start=stretch.start,
        end=_after(stretch),
        version=version.number,
    )


def reference_of(project: Project, version: ModelVersion) -> Reference:
    """Return the reference distributions of the version's training and holdout rows."""
    return reference.load(project.references.read(version.reference_sha256))


def span_s(rows: pa.Table | Asked) -> float | None:
    """Return the seconds from the first request of ``rows`` to the last."""
    if not rows.num_rows:
        return None
    extremes = pc.min_max(rows.column("_served_at")).as_py()
    return float((extremes["max"] - extremes["min"]).total_seconds())


def with_answers(version: ModelVersion, rows: pa.Table | LogWindow) -> Asked:
    """Return ``rows`` with their predictions and serving time as additional columns."""
    schema, names = deploy.input_schema(version), ("_value", "_probabilities")
    parts = rows.parts(names) if isinstance(rows, LogWindow) else (rows,)
    answers = [
        prediction_columns.table(schema, *(part.column(name) for name in names)) for part in parts
    ]
    return Asked(rows, pa.concat_tables(answers))


def losses(version: ModelVersion, rows: pa.Table) -> tuple[str, np.ndarray]:
    """Return the primary metric of the version, and the loss of each row."""
    schema = deploy.input_schema(version)
    given = answers(version, rows)
    metric = metrics.primary(given, task=schema.task)
    if not rows.num_rows:
        return metric, np.zeros(0)
    actuals = rows["_actual"].to_pylist()
    return metric, metrics.losses(metric, given, actuals, schema.classes)


def holdout(version: ModelVersion, metric: str) -> Holdout:
    """Return the loss of the version on its holdout.

    Raises ConflictError if it has none, because its predictions there were not finite.
    """
    found = {name: value for name, value in version.metrics.items() if _is_finite(value)}
    limits = {name: pair for name, pair in version.intervals.items() if all(map(_is_finite, pair))}
    if metric in found:
        value, high = found[metric], limits.get(metric, (0.0, found[metric]))[1]
    elif metric == "error_rate" and "accuracy" in found:
        accuracy = found["accuracy"]
        value, high = 1 - accuracy, 1 - limits.get("accuracy", (accuracy, 1.0))[0]
    else:
        raise ConflictError(
            f"v{version.number} has no {metric} on its holdout to compare with: not all of its "
            f"answers there were finite numbers; train {version.model.name} again"
        )
    sheet = slices(version, metric)
    if sheet is None or not np.isfinite(sheet.whole.mean):
        sample = _sample(version, value, high)
        return Holdout(value, high, sample, _capped(metric, None, sample))
    return Holdout(value, high, sheet.whole, _capped(metric, sheet, sheet.whole))


def _is_finite(value: object) -> bool:
    """Tell whether a recorded metric is a number; one that could not be computed is null or NaN."""
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _capped(metric: str, sheet: Sheet | None, sample: Sample) -> Capped | None:
    """Return the capped losses of the holdout; for old versions approximated from ``sample``."""
    if metric == "error_rate" or (sheet is not None and sheet.capped is not None):
        return sheet.capped if sheet else None
    return Capped.of_sample(sample)


def slices(version: ModelVersion, metric: str) -> Sheet | None:
    """Return the loss by slice of the holdout; None for versions of older releases."""
    if version.slices is None:
        return None
    try:
        sheet = msgspec.convert(version.slices, Sheet)
    except msgspec.ValidationError as error:
        raise DamagedError(
            f"the slices of {version.label()} are not the recorded ones: {error}; "
            "restore a backup (see: mlkit backup restore)"
        ) from error
    return sheet if sheet.metric == metric else None


def answers(version: ModelVersion, rows: pa.Table) -> Predictions:
    """Return the predictions for ``rows``, with probabilities if the holdout had them."""
    schema = deploy.input_schema(version)
    given = rows["_probabilities"].to_pylist()
    told = "log_loss" in version.metrics and all(row is not None for row in given)
    shape = len(given), len(schema.classes)
    return Predictions(
        values=rows["_value"].to_pylist(),
        probabilities=np.array(given, dtype=float).reshape(shape) if told else None,
    )


def _sample(version: ModelVersion, value: float, high: float) -> Sample:
    """Return mean and variance of the holdout loss, recovered from its 95 % interval."""
    error = max(0.0, high - value) / _HALF_95
    return Sample(
        rows=version.holdout_rows,
        mean=value,
        variance=error**2 * version.holdout_rows,
        effective_rows=float(version.holdout_rows),
    )


def _after(stretch: Window) -> datetime:
    return stretch.end + timedelta(microseconds=1)
