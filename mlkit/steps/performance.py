"""Are the answers worse than on the holdout? A verdict needs an interval and enough rows."""

from typing import Final, Literal, NamedTuple, Self

import msgspec
import numpy as np

from mlkit import settings
from mlkit.steps import metrics, rise
from mlkit.steps.metrics import Interval, Resampling
from mlkit.steps.rise import Sample

Verdict = Literal["degraded", "ok", "insufficient_data"]

_GROUPS: Final = 20_000
_LEAST: Final = 0.01  # chance of a false alarm of one check
_MOST: Final = 0.05
_BLOCK_TAUS: Final = 4
_FEWEST_BLOCKS: Final = 10


class PerformanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a model counts as degraded."""

    min_rows: int
    tolerance: float
    alpha: float = _MOST

    @classmethod
    def from_settings(cls, chosen: settings.Performance, *, share: float = 1.0) -> Self:
        """Return the rule that the settings describe.

        ``share`` is the window as a part of the time in which one false alarm may be: windows that
        overlap say the same, so its inverse is how many there are to go wrong.
        """
        alpha = min(_MOST, max(_LEAST, share))
        return cls(min_rows=chosen.min_rows, tolerance=chosen.tolerance, alpha=alpha)


class Holdout(NamedTuple):
    """The loss of the version on its holdout, the upper end of its interval, and its scatter."""

    value: float
    high: float
    sample: Sample


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The mean loss of a window with its interval, and what the mean may reach: ``limit``."""

    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    limit: float


def judge(
    losses: np.ndarray, holdout: Holdout, rule: PerformanceRule, resampling: Resampling
) -> Performance:
    """Return whether the loss has risen above the holdout's by more than is tolerated.

    ``losses`` has shape (rows,), in the order of the answers. Degraded means that their mean lies
    above ``holdout.value * (1 + tolerance)`` by more than chance makes of two samples of these
    sizes, whose rows resemble their neighbours (see ``rise``).
    """
    tolerated = rule.tolerance * abs(holdout.value)
    if not len(losses):
        limit = holdout.value + tolerated
        return Performance(
            verdict="insufficient_data", value=None, low=None, high=None, limit=limit
        )
    found = rise.measure(losses, ordered=True)
    risen = rise.compare(holdout.sample, found, tolerated=tolerated, alpha=rule.alpha)
    verdict: Verdict = "degraded" if risen.p_value < rule.alpha else "ok"
    if len(losses) < rule.min_rows or not rise.tells(holdout.sample, found):
        verdict = "insufficient_data"
    mean, low, high = _interval(losses, _lengthened(resampling, found))
    return Performance(verdict=verdict, value=mean, low=low, high=high, limit=risen.limit)


def _lengthened(resampling: Resampling, found: Sample) -> Resampling:
    """Return the resampling with blocks that hold what rows of these losses have in common."""
    wanted = round(_BLOCK_TAUS * found.rows / found.worth)
    most = max(1, found.rows // _FEWEST_BLOCKS)
    return resampling._replace(block=max(resampling.block, min(wanted, most)))


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
