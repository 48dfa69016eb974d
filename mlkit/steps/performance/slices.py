"""The loss of slices of the rows, on the holdout and later, and which slices have become worse."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.steps.drift.distance import false_discovery
from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.performance import capped, cuts, rise
from mlkit.steps.performance.capped import Capped
from mlkit.steps.performance.cuts import Cut
from mlkit.steps.performance.judge import PerformanceRule
from mlkit.steps.performance.rise import Sample

_FEWEST: Final = 30  # rows of a window


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A slice and the sample of its losses."""

    cut: Cut
    loss: Sample
    capped: Capped | None = None


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The losses of some rows by ``metric``: of all, of slices by input and by actual value.

    ``outcome`` are the actual values as numbers (1 for the second of two classes), and ``bias`` is
    actual minus predicted value; both are None for more than two classes. ``capped`` are the capped
    losses, None if no loss is huge, and in versions of older releases.
    """

    metric: str
    whole: Sample
    inputs: tuple[Part, ...]
    actuals: tuple[Part, ...]
    outcome: Sample | None = None
    bias: Sample | None = None
    capped: Capped | None = None


class SliceLoss(msgspec.Struct, frozen=True, kw_only=True):
    """A slice whose loss has risen: its loss in the window, and on the holdout (``reference``)."""

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
    """Rows with actuals: their inputs, predictions, actual values and losses."""

    table: pa.Table
    answers: Predictions
    actuals: Sequence[Any]
    losses: np.ndarray
    ordered: bool


def of_holdout(schema: InputSchema, metric: str, rows: Judged) -> Sheet:
    """Return the sheet of the holdout of a version."""
    return _sheet(
        schema, metric, rows,
        inputs=[_unmeasured(cut) for cut in cuts.of_inputs(schema, rows.table)],
        actuals=[_unmeasured(cut) for cut in cuts.of_actuals(schema, rows.actuals)],
    )  # fmt: skip


def of_window(schema: InputSchema, known: Sheet, rows: Judged) -> Sheet:
    """Return the sheet of later rows, with the same slices as ``known``."""
    return _sheet(schema, known.metric, rows, inputs=known.inputs, actuals=known.actuals)


def failing(
    known: Sheet, found: Sheet, rule: PerformanceRule, *, confidence: float
) -> tuple[SliceLoss, ...]:
    """Return the slices by input whose loss has risen by more than the tolerance, worst first.

    Each slice is compared with itself on the holdout (see ``rise``), with Benjamini and Hochberg's
    correction for multiple tests. The mean and the capped mean are tested; the smaller p value
    counts, times two (Bonferroni). The tolerance is a share of the slice's loss or of the whole
    loss, whichever is larger: a slice that hardly ever fails may fail a little more often.
    """
    tested = [
        _test(known.whole, before, after, rule, confidence)
        for before, after in zip(known.inputs, found.inputs, strict=True)
        if after.loss.rows >= _FEWEST and rise.are_enough(before.loss, after.loss)
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
    p_value = risen.p_value
    if before.capped is not None and after.capped is not None:
        share = rule.tolerance * max(1.0, abs(whole.mean) / (abs(before.loss.mean) or 1.0))
        typical = capped.compare(before.capped, after.capped, tolerance=share, alpha=rule.alpha)
        p_value = min(1.0, 2 * min(p_value, typical.p_value))
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
        p_value=p_value,
    )


def _sheet(
    schema: InputSchema,
    metric: str,
    rows: Judged,
    *,
    inputs: Sequence[Part],
    actuals: Sequence[Part],
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
        capped=capped.measure(rows.losses, ordered=rows.ordered),
    )


def _unmeasured(cut: Cut) -> Part:
    return Part(cut=cut, loss=Sample(rows=0, mean=0.0, variance=0.0, effective_rows=0.0))


def _parts(wanted: Sequence[Part], table: pa.Table, rows: Judged) -> tuple[Part, ...]:
    """Return the slices ``wanted``, measured on ``rows``, with the caps of the holdout."""
    found: list[Part] = []
    for name, group in groupby(wanted, key=lambda part: part.cut.column):
        column = list(group)
        sides = cuts.places([part.cut for part in column], table.column(name))
        for part, inside in zip(column, sides, strict=True):
            losses, ordered = rows.losses[inside], rows.ordered
            known = part.capped
            found.append(
                Part(
                    cut=part.cut,
                    loss=rise.measure(losses, ordered=ordered),
                    capped=capped.remeasure(known, losses, ordered=ordered)
                    if part.loss.rows
                    else capped.measure(losses, ordered=ordered),
                )
            )
    return tuple(found)


def _numbers(schema: InputSchema, rows: Judged) -> tuple[np.ndarray, np.ndarray] | None:
    """Return actual values as numbers, and actual minus predicted ones; None for many classes."""
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
