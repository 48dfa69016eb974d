"""Are the answers worse than on the holdout? A verdict needs an interval and enough rows."""

from typing import Literal

import msgspec
import numpy as np

from mlkit.steps import metrics
from mlkit.steps.metrics import Resampling

Verdict = Literal["degraded", "ok", "insufficient_data"]


class PerformanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a model counts as degraded."""

    min_rows: int
    tolerance: float


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The mean loss of a window with its interval, beside the holdout's."""

    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    limit: float


def judge(
    losses: np.ndarray, holdout: float, rule: PerformanceRule, resampling: Resampling
) -> Performance:
    """Return whether the loss has risen above the holdout's by more than is tolerated.

    ``losses`` has shape (rows,). Degraded means that the whole bootstrap interval of their mean
    lies above ``holdout * (1 + tolerance)``.
    """
    limit = holdout + rule.tolerance * abs(holdout)
    if not len(losses):
        return Performance(
            verdict="insufficient_data", value=None, low=None, high=None, limit=limit
        )
    mean, low, high = metrics.mean_interval(losses, resampling)
    verdict: Verdict = "degraded" if low > limit else "ok"
    if len(losses) < rule.min_rows:
        verdict = "insufficient_data"
    return Performance(verdict=verdict, value=mean, low=low, high=high, limit=limit)
