"""The loss of parts of the rows, on the holdout and later: one may fail while all look fine."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.steps import cuts, prediction_columns, rise
from mlkit.steps.answers import Predictions
from mlkit.steps.columns import InputSchema
from mlkit.steps.cuts import Cut
from mlkit.steps.distance import false_discovery
from mlkit.steps.performance import PerformanceRule
from mlkit.steps.rise import Sample

_FEWEST: Final = 30  # rows of a window


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows and their loss."""

    cut: Cut
    loss: Sample


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The losses of some rows by ``metric``: of all, of parts of the inputs, by what really was.

    ``outcome`` is what really was, as a number (of two classes 1 for the second), and ``bias`` how
    far it lay above the answers; both are None for more than two classes.
    """

    metric: str
    whole: Sample
    inputs: tuple[Part, ...]
    actuals: tuple[Part, ...]
    outcome: Sample | None = None
    bias: Sample | None = None


class SliceLoss(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the inputs whose loss has risen: in the window, and on the holdout."""

    name: str
    column: str
    rows: int
    value: float
    low: float
    high: float
    reference: float
    reference_rows: int
    limit: float
    p_value: float
    q_value: float = 1.0


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose truth is known: their inputs, the answers, what was, the loss of each."""

    table: pa.Table
    answers: Predictions
    actuals: Sequence[Any]
    losses: np.ndarray
    ordered: bool


def of_holdout(schema: InputSchema, metric: str, rows: Judged) -> Sheet:
    """Return the sheet of the rows that a version was judged on."""
    return _sheet(
        schema, metric, rows,
        inputs=cuts.of_inputs(schema, rows.table),
        actuals=cuts.of_actuals(schema, rows.actuals),
    )  # fmt: skip


def of_window(schema: InputSchema, known: Sheet, rows: Judged) -> Sheet:
    """Return the sheet of later rows, of the same parts as ``known``."""
    return _sheet(
        schema, known.metric, rows,
        inputs=[part.cut for part in known.inputs],
        actuals=[part.cut for part in known.actuals],
    )  # fmt: skip


def failing(
    known: Sheet, found: Sheet, rule: PerformanceRule, *, confidence: float
) -> tuple[SliceLoss, ...]:
    """Return the parts of the inputs whose loss has risen by more than is tolerated, worst first.

    Each part is compared with itself on the holdout (see ``rise``); looking at many is corrected
    by Benjamini and Hochberg. Tolerated is a share of the part's loss or, where that is smaller
    than the loss of the whole, of that: what hardly ever fails may fail a little more often.
    """
    tested = [
        _test(known.whole, before, after, rule, confidence)
        for before, after in zip(known.inputs, found.inputs, strict=True)
        if after.loss.rows >= _FEWEST and rise.tells(before.loss, after.loss)
    ]
    if not tested:
        return ()
    adjusted = false_discovery(np.array([each.p_value for each in tested]))
    judged = [
        msgspec.structs.replace(each, q_value=float(q))
        for each, q in zip(tested, adjusted, strict=True)
        if q <= rule.alpha
    ]
    return tuple(sorted(judged, key=lambda each: (each.q_value, each.limit - each.value)))


def _test(
    whole: Sample, before: Part, after: Part, rule: PerformanceRule, confidence: float
) -> SliceLoss:
    tolerated = rule.tolerance * max(abs(before.loss.mean), abs(whole.mean))
    risen = rise.compare(before.loss, after.loss, tolerated=tolerated, alpha=rule.alpha)
    low, high = rise.interval(after.loss, confidence)
    return SliceLoss(
        name=after.cut.name,
        column=after.cut.column,
        rows=after.loss.rows,
        value=after.loss.mean,
        low=low,
        high=high,
        reference=before.loss.mean,
        reference_rows=before.loss.rows,
        limit=risen.limit,
        p_value=risen.p_value,
    )


def _sheet(
    schema: InputSchema,
    metric: str,
    rows: Judged,
    *,
    inputs: Sequence[Cut],
    actuals: Sequence[Cut],
) -> Sheet:
    numbers = _numbers(schema, rows)
    outcome, bias = (
        (None, None)
        if numbers is None
        else (rise.measure(each, ordered=rows.ordered) for each in numbers)
    )
    truth = prediction_columns.actuals(schema, rows.actuals)
    return Sheet(
        metric=metric,
        whole=rise.measure(rows.losses, ordered=rows.ordered),
        inputs=_parts(inputs, rows.table, rows),
        actuals=_parts(actuals, truth, rows),
        outcome=outcome,
        bias=bias,
    )


def _parts(wanted: Sequence[Cut], table: pa.Table, rows: Judged) -> tuple[Part, ...]:
    found: list[Part] = []
    for name, group in groupby(wanted, key=lambda cut: cut.column):
        column = list(group)
        for cut, inside in zip(column, cuts.places(column, table.column(name)), strict=True):
            loss = rise.measure(rows.losses[inside], ordered=rows.ordered)
            found.append(Part(cut=cut, loss=loss))
    return tuple(found)


def _numbers(schema: InputSchema, rows: Judged) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what really was as numbers, and how far it lies above the answers."""
    if schema.task == "regression":
        truth = np.array(rows.actuals, dtype=float)
        return truth, truth - np.array(rows.answers.values, dtype=float)
    if len(schema.classes) != 2:
        return None
    second = np.array([actual == schema.classes[1] for actual in rows.actuals], dtype=float)
    if rows.answers.probabilities is None:
        said = np.array([value == schema.classes[1] for value in rows.answers.values], dtype=float)
    else:
        said = rows.answers.probabilities[:, 1]
    return second, second - said
