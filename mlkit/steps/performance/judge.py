"""Are the answers worse than on the holdout? A verdict needs an interval and enough rows."""

from typing import Final, Literal, NamedTuple, Self

import msgspec
import numpy as np

from mlkit.settings import table
from mlkit.steps.performance import capped, metrics, rise
from mlkit.steps.performance.capped import Capped
from mlkit.steps.performance.metrics import Interval, Resampling
from mlkit.steps.performance.rise import Sample

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
    def from_settings(cls, chosen: table.Performance, *, share: float = 1.0) -> Self:
        """Return the rule that the settings describe.

        ``share`` is the window as a part of the time in which one false alarm may be: windows that
        overlap say the same, so its inverse is how many there are to go wrong.
        """
        alpha = min(_MOST, max(_LEAST, share))
        return cls(min_rows=chosen.min_rows, tolerance=chosen.tolerance, alpha=alpha)


class Holdout(NamedTuple):
    """The loss of the version on its holdout, the upper end of its interval, and its scatter.

    ``capped`` is the same with a cap on each row, None where no loss is huge.
    """

    value: float
    high: float
    sample: Sample
    capped: Capped | None = None


class Typical(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of losses of which none counts for more than ``cap``, and what it may reach."""

    cap: float
    value: float
    reference: float
    limit: float
    risen: bool


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The mean loss of a window with its interval, and what the mean may reach: ``limit``.

    ``risen`` says whether it did, beyond chance; ``typical`` is the same of capped losses, None
    where no loss is huge.
    """

    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    limit: float
    risen: bool = False
    typical: Typical | None = None

    @property
    def grown(self) -> bool:
        """Whether the loss has grown, of all rows or of typical ones, beyond chance."""
        return self.risen or (self.typical is not None and self.typical.risen)


def judge(
    losses: np.ndarray,
    holdout: Holdout,
    rule: PerformanceRule,
    resampling: Resampling,
    *,
    unanswered: int = 0,
) -> Performance:
    """Return whether the loss has risen above the holdout's by more than is tolerated.

    ``losses`` has shape (rows,), in the order of the answers. Degraded means that their mean lies
    above ``holdout.value * (1 + tolerance)`` by more than chance makes of two samples of these
    sizes, whose rows resemble their neighbours (see ``rise``); or that the mean of capped losses
    does so. Each has half of the chance of a false alarm: a few huge losses scatter so much that
    no mean tells anything, and typical rows miss what only the worst ones show. ``unanswered`` rows
    have no finite loss; with any of them it is never "ok".
    """
    tolerated = rule.tolerance * abs(holdout.value)
    if not len(losses):
        limit = holdout.value + tolerated
        verdict: Verdict = "degraded" if unanswered >= rule.min_rows else "insufficient_data"
        return Performance(verdict=verdict, value=None, low=None, high=None, limit=limit)
    found = rise.measure(losses, ordered=True)
    known = holdout.capped or capped.of_exact(holdout.sample, losses)
    alpha = rule.alpha if known is None else rule.alpha / 2
    rising = rise.compare(holdout.sample, found, tolerated=tolerated, alpha=alpha)
    typical = _typical(losses, known, rule, alpha)
    risen = rising.p_value < alpha
    grown = risen or (typical is not None and typical.risen)
    verdict = "degraded" if grown or unanswered else "ok"
    few = len(losses) + unanswered < rule.min_rows
    if few or not (unanswered or rise.tells(holdout.sample, found)):
        verdict = "insufficient_data"
    mean, low, high = _interval(losses, _lengthened(resampling, found))
    return Performance(
        verdict=verdict, value=mean, low=low, high=high, limit=rising.limit, risen=risen,
        typical=typical,
    )  # fmt: skip


def _typical(
    losses: np.ndarray, known: Capped | None, rule: PerformanceRule, alpha: float
) -> Typical | None:
    """Return how typical rows do against those of the holdout."""
    found = capped.again(known, losses, ordered=True)
    if known is None or found is None:
        return None
    rising = capped.compare(known, found, tolerance=rule.tolerance, alpha=alpha)
    return Typical(
        cap=known.cap,
        value=found.loss.mean,
        reference=known.loss.mean,
        limit=rising.limit,
        risen=rising.p_value < alpha,
    )


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
