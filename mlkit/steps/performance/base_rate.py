"""Prior shift, judged by actual values: their mix has changed, the loss within each has not.

Then a threshold is to be recalibrated, and nothing relearned. What can be known of it before any
actual has come is in ``class_shares``.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from mlkit.steps import digits
from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.performance import rise
from mlkit.steps.performance.judge import PerformanceRule
from mlkit.steps.performance.rise import Sample
from mlkit.steps.performance.slices import Part, Sheet

_SURE: Final = 0.01
_LEFT_BEHIND: Final = 0.2  # of the move, by which the answers did not follow


class BaseRate(msgspec.Struct, frozen=True):
    """How the actual values moved, in words, and whether that explains what happened.

    ``explains`` is true if the loss for each actual value is as before, so that only their mix has
    changed, and the answers have not followed it. None if the holdout's is not known.
    """

    words: str
    explains: bool | None


def judge(
    schema: InputSchema, known: Sheet | None, found: Sheet | None, rule: PerformanceRule
) -> BaseRate:
    """Return what moved; prior shift is told from a changed relation by the loss within a class.

    If only the mix has changed, P(x | y) is as it was: so is the loss for each actual value
    (Saerens 2002), and the whole loss is that of the holdout in the new mix. If the inputs moved
    and the base rate with them, the answers follow it.
    """
    if known is None or found is None or not found.whole.rows:
        return BaseRate("", None)
    losses = [part.loss for part in known.actuals]
    alike = _is_alike(_mixed(known.whole, losses, found), found.whole, rule) and _is_typical(
        known, found, rule
    )
    return BaseRate(_words(schema, known, found), alike and _left_behind(known, found))


def _is_alike(mixed: Sample, found: Sample, rule: PerformanceRule) -> bool:
    tolerated = rule.tolerance * abs(mixed.mean)
    return rise.compare(mixed, found, tolerated=tolerated, alpha=rule.alpha).p_value >= rule.alpha


def _is_typical(known: Sheet, found: Sheet, rule: PerformanceRule) -> bool:
    """Tell whether typical rows lose what they did: of the mean a few huge losses hide it."""
    before = [part.capped.loss for part in known.actuals if part.capped]
    after = [part.capped.loss for part in found.actuals if part.capped]
    if not before or len(before) < len(known.actuals) or len(after) < len(before):
        return True  # parts without a cap have no huge losses, or are of a version of old
    return _is_alike(_mixed(known.whole, before, found), _mixed(found.whole, after, found), rule)


def _mixed(whole: Sample, losses: Sequence[Sample], found: Sheet) -> Sample:
    """Return what the loss would be with the actual values of ``found``, by that of each part."""
    rows = np.array([part.loss.rows for part in found.actuals], dtype=float)
    if not rows.sum():
        return whole
    shares = rows / rows.sum()
    means = np.array([loss.mean for loss in losses])
    variances = np.array([loss.variance for loss in losses])
    mean = float(shares @ means)
    variance = float(shares @ (variances + (means - mean) ** 2))
    return msgspec.structs.replace(whole, mean=mean, variance=variance)


def _left_behind(known: Sheet, found: Sheet) -> bool:
    """Tell whether the answers have not followed the actual values; True for many classes."""
    if known.outcome is None or found.outcome is None or known.bias is None or found.bias is None:
        return True
    moved = found.outcome.mean - known.outcome.mean
    lag = found.bias.mean - known.bias.mean
    sides = (known.bias, found.bias) if lag > 0 else (_negative(known.bias), _negative(found.bias))
    sure = rise.compare(*sides, tolerated=0.0, alpha=_SURE).p_value < _SURE
    return sure and lag * moved > 0 and abs(lag) >= _LEFT_BEHIND * abs(moved)


def _negative(sample: Sample) -> Sample:
    return msgspec.structs.replace(sample, mean=-sample.mean)


def _words(schema: InputSchema, known: Sheet, found: Sheet) -> str:
    """Return the move: of the mean, or of the class whose share moved most."""
    if schema.task == "regression" and known.outcome and found.outcome:
        before, now = digits.alike(known.outcome.mean, found.outcome.mean, least=4)
        return f"mean {before} to {now}"
    shares, after = _shares(known.actuals), _shares(found.actuals)
    if not shares:
        return ""
    classes = [label for label in shares if len(shares) != 2 or label == _second(schema)]
    most = max(classes or shares, key=lambda label: abs(after[label] - shares[label]))
    return f"{most} {shares[most]:.0%} to {after[most]:.0%}"


def _shares(parts: tuple[Part, ...]) -> dict[str, float]:
    total = sum(part.loss.rows for part in parts) or 1
    return {
        part.cut.labels[0]: part.loss.rows / total for part in parts if part.cut.kind == "label"
    }


def _second(schema: InputSchema) -> str:
    labels = prediction_columns.actuals(schema, schema.classes).column(0).to_pylist()
    return str(labels[1])
