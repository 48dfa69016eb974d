"""Rows of the log that a version can be evaluated on: usable actual, finite prediction."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mlkit.flows.log import evidence, unknown_labels
from mlkit.flows.registry import deploy
from mlkit.steps.inputs import bounds
from mlkit.steps.performance import metrics
from mlkit.store.registry import ModelVersion


class JudgedRows(NamedTuple):
    """Rows with an actual and the loss of each.

    Left out, with ``warnings``, are the ``unanswered`` rows, whose prediction is no finite number,
    and rows whose actual is unusable.
    """

    rows: pa.Table
    metric: str
    losses: np.ndarray
    unanswered: int
    warnings: tuple[str, ...]


def of(version: ModelVersion, rows: pa.Table) -> JudgedRows:
    """Return those of ``rows``, which have actuals, that can be evaluated."""
    known, unknown = unknown_labels.part(deploy.input_schema(version), rows)
    known, large = _within(known, "_actual", bounds.TARGET)
    metric, losses = evidence.losses(version, known)
    usable = metrics.usable(losses)
    told = [unknown_labels.warning(unknown)] if unknown else []
    if large:
        told.append(f"large_actuals: {large} beyond {bounds.TARGET:g} are left out")
    if usable.all():
        return JudgedRows(known, metric, losses, 0, tuple(told))
    count, first = int((~usable).sum()), known["_id"][int(np.argmin(usable))].as_py()
    told.append(
        f"no_answer: {count} of {len(losses)} answers {'is' if count == 1 else 'are'} no finite "
        f"number, the first to prediction {first}"
    )
    return JudgedRows(known.filter(pa.array(usable)), metric, losses[usable], count, tuple(told))


def answered(rows: pa.Table) -> pa.Table:
    """Return the rows whose prediction is a finite number or a label."""
    return _within(rows, "_value", bounds.TARGET)[0]


def learnable(rows: pa.Table) -> tuple[pa.Table, int]:
    """Return the rows of the log whose numbers a model can learn from, and how many are not."""
    count = rows.num_rows
    for name in rows.column_names:
        if name == "_actual" or not name.startswith("_"):
            rows, _ = _within(rows, name, bounds.TARGET if name == "_actual" else bounds.INPUT)
    return rows, count - rows.num_rows


def _within(rows: pa.Table, name: str, bound: float) -> tuple[pa.Table, int]:
    """Return the rows whose number in a column is within ``bound``, and how many are not."""
    if not pa.types.is_floating(rows[name].type):
        return rows, 0
    large = np.abs(rows[name].to_numpy()) > bound  # a missing value is within the bound
    if name == "_value":
        large |= ~np.isfinite(rows[name].to_numpy())
    return (rows.filter(pa.array(~large)), int(large.sum())) if large.any() else (rows, 0)
