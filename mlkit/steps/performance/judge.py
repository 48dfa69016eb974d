"""The performance verdict: whether the loss is significantly higher than on the holdout."""

from typing import Final, Literal, NamedTuple, Self

import msgspec
import numpy as np

from mlkit.settings import table
from mlkit.steps.performance import capped, metrics, rise
from mlkit.steps.performance.capped import Capped
from mlkit.steps.performance.metrics import Interval, Resampling
from mlkit.steps.performance.rise import Sample

Verdict = Literal["degraded", "ok", "insufficient_data"]

_GROUPS: Final = 20_000  # of neighbouring rows, at most, in the bootstrap
_LEAST: Final = 0.01  # significance level of one check, at least
_MOST: Final = 0.05  # and at most
_BLOCK_TAUS: Final = 4  # a block of the bootstrap has so many autocorrelation times
_FEWEST_BLOCKS: Final = 10


class PerformanceRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a model counts as degraded."""

    min_rows: int
    tolerance: float
    alpha: float = _MOST

    @classmethod
    def from_settings(cls, chosen: table.Performance, *, share: float = 1.0) -> Self:
        """Return the rule that the settings describe.

        ``share`` is the length of the window divided by the time per false alarm. Overlapping
        windows are not independent, so there are about 1 / ``share`` independent checks in that
        time, and each gets this significance level.
        """
        alpha = min(_MOST, max(_LEAST, share))
        return cls(min_rows=chosen.min_rows, tolerance=chosen.tolerance, alpha=alpha)


class Holdout(NamedTuple):
    """The loss of the version on its holdout, the upper limit of its interval, and its sample.

    ``capped`` is the sample of capped losses, None if no loss is huge.
    """

    value: float
    high: float
    sample: Sample
    capped: Capped | None = None


class Typical(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of losses capped at ``cap``, that on the holdout, and the limit of the mean."""

    cap: float
    value: float
    reference: float
    limit: float
    risen: bool


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The mean loss of a window with its interval, and its ``limit``.

    ``risen`` says that the mean is significantly above the tolerance; ``typical`` is the same for
    capped losses, None if no loss is huge.
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
        """Whether the mean loss, capped or not, has risen significantly."""
        return self.risen or (self.typical is not None and self.typical.risen)


def judge(
    losses: np.ndarray,
    holdout: Holdout,
    rule: PerformanceRule,
    resampling: Resampling,
    *,
    unanswered: int = 0,
) -> Performance:
    """Return whether the loss has risen above the holdout's by more than the tolerance.

    ``losses`` has shape (rows,), in the order in which the rows were served. Degraded means that
    their mean is significantly above ``holdout.value * (1 + tolerance)``, with autocorrelation
    allowed for (see ``rise``), or that the mean of capped losses is. Each test gets half of the
    significance level. Both are needed: a few huge losses give the mean so much variance that it
    shows nothing, and capped losses hide a failure of only the worst rows. ``unanswered`` rows have
    no finite loss; with any of them the verdict is never "ok".
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
    if few or not (unanswered or rise.are_enough(holdout.sample, found)):
        verdict = "insufficient_data"
    mean, low, high = _interval(losses, _lengthened(resampling, found))
    return Performance(
        verdict=verdict, value=mean, low=low, high=high, limit=rising.limit, risen=risen,
        typical=typical,
    )  # fmt: skip


def _typical(
    losses: np.ndarray, known: Capped | None, rule: PerformanceRule, alpha: float
) -> Typical | None:
    """Return the test of the capped losses against those of the holdout."""
    found = capped.remeasure(known, losses, ordered=True)
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
    """Return the resampling with blocks of at least four autocorrelation times."""
    wanted = round(_BLOCK_TAUS * found.rows / found.effective_rows)
    most = max(1, found.rows // _FEWEST_BLOCKS)
    return resampling._replace(block=max(resampling.block, min(wanted, most)))


def _interval(losses: np.ndarray, resampling: Resampling) -> Interval:
    """Return the bootstrap interval of the mean; many rows are averaged in groups of neighbours.

    To resample a million single rows takes seconds and gives the same interval.
    """
    size = -(-len(losses) // _GROUPS)
    if size == 1:
        return metrics.mean_interval(losses, resampling)
    whole = len(losses) // size * size
    groups = losses[:whole].reshape(-1, size).mean(axis=1)
    block = max(1, round(resampling.block / size))
    _, low, high = metrics.mean_interval(groups, resampling._replace(block=block))
    return Interval(float(losses.mean()), low, high)
