"""Are the answers worse than on the holdout? A verdict needs an interval and enough rows."""

from typing import Final, Literal, NamedTuple, Self

import msgspec
import numpy as np

from mlkit import settings
from mlkit.steps import metrics
from mlkit.steps.metrics import Interval, Resampling

Verdict = Literal["degraded", "ok", "insufficient_data"]

_GROUPS: Final = 20_000


class PerformanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a model counts as degraded."""

    min_rows: int
    tolerance: float

    @classmethod
    def from_settings(cls, chosen: settings.Performance) -> Self:
        """Return the rule that the settings describe."""
        return cls(min_rows=chosen.min_rows, tolerance=chosen.tolerance)


class Holdout(NamedTuple):
    """The loss of the version on its holdout, and the upper end of its interval."""

    value: float
    high: float


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The mean loss of a window with its interval, and what it may reach: ``limit``."""

    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    limit: float


def judge(
    losses: np.ndarray, holdout: Holdout, rule: PerformanceRule, resampling: Resampling
) -> Performance:
    """Return whether the loss has risen above the holdout's by more than is tolerated.

    ``losses`` has shape (rows,), in the order of the answers. Degraded means that the whole
    bootstrap interval of their mean lies above ``holdout.value * (1 + tolerance)`` and above
    ``holdout.high``: a rise within the holdout's own uncertainty is none.
    """
    limit = max(holdout.value + rule.tolerance * abs(holdout.value), holdout.high)
    if not len(losses):
        return Performance(
            verdict="insufficient_data", value=None, low=None, high=None, limit=limit
        )
    mean, low, high = _interval(losses, resampling)
    verdict: Verdict = "degraded" if low > limit else "ok"
    if len(losses) < rule.min_rows:
        verdict = "insufficient_data"
    return Performance(verdict=verdict, value=mean, low=low, high=high, limit=limit)


def _interval(losses: np.ndarray, resampling: Resampling) -> Interval:
    """Return the bootstrap interval of the mean; of many rows, neighbours are drawn together.

    A million rows drawn one by one take seconds and say the same.
    """
    size = -(-len(losses) // _GROUPS)
    if size == 1:
        return metrics.mean_interval(losses, resampling)
    whole = len(losses) // size * size
    groups = losses[:whole].reshape(-1, size).mean(axis=1)
    block = max(1, round(resampling.block / size))
    _, low, high = metrics.mean_interval(groups, resampling._replace(block=block))
    return Interval(float(losses.mean()), low, high)
