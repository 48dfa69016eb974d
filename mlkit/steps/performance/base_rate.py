"""Prior shift, tested with actual values: class shares changed, the loss within a class did not.

Then the decision threshold needs recalibration, and no retraining. How prior shift is estimated
without actuals is in ``class_shares``.
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

_SURE: Final = 0.01  # significance level
_LEFT_BEHIND: Final = 0.2  # share of the change that the predictions did not follow, at least


class BaseRate(msgspec.Struct, frozen=True):
    """The change of the actual values, in words, and whether prior shift explains it.

    ``explains`` is true if the loss for each actual value is as before, so that only the class
    shares have changed, and the predictions have not followed. None if the version has no losses
    of slices of its holdout.
    """

    words: str
    explains: bool | None


def judge(
    schema: InputSchema, known: Sheet | None, found: Sheet | None, rule: PerformanceRule
) -> BaseRate:
    """Return the change of the base rate, and whether it is prior shift or concept drift.

    Under prior shift P(y) changes and P(x | y) does not (Saerens et al. 2002). So the loss for each
    actual value is as before, and the mean loss is Σ P_new(y) loss(y) with the losses of the
    holdout. Under covariate shift the base rate changes, too, but the predictions follow it.
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
    """Tell whether capped losses are as before: a few huge losses can hide a change of the mean."""
    before = [part.capped.loss for part in known.actuals if part.capped]
    after = [part.capped.loss for part in found.actuals if part.capped]
    if not before or len(before) < len(known.actuals) or len(after) < len(before):
        return True  # no huge losses, or a version of an older release
    return _is_alike(_mixed(known.whole, before, found), _mixed(found.whole, after, found), rule)


def _mixed(whole: Sample, losses: Sequence[Sample], found: Sheet) -> Sample:
    """Return the loss of the holdout reweighted to the class shares of ``found``.

    With the shares w, mean = Σ w mean_y and variance = Σ w (variance_y + (mean_y - mean)²).
    """
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
    """Tell whether the predictions have not followed the base rate; True for many classes."""
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
    """Return the change of the mean, or of the class share that changed most."""
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
