"""Losses with a cap on each: what typical rows lose, whatever a few huge ones do.

Winsorised above (Tukey 1962), by a cap that the holdout sets: the mean then has the normal
distribution that a test of it assumes, however heavy the tail (Yuen and Dixon 1973).
"""

from typing import Final, Self

import msgspec
import numpy as np

from mlkit.steps.performance import rise
from mlkit.steps.performance.rise import Rise, Sample

_BELOW: Final = 0.9  # of the holdout's losses, so up to a tenth of them may be spoilt
_FEWEST: Final = 20  # rows, of which the cap is a quantile
_FAR: Final = 3.0  # standard deviations, where only the mean and the scatter are known


class Capped(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a row counts for, and the losses of some rows so capped."""

    cap: float
    loss: Sample

    @classmethod
    def of_sample(cls, whole: Sample) -> Self | None:
        """Return what is known of losses of which only the sample was kept.

        Their capped mean is no more than their mean: a test against it misses more, no less.
        """
        cap = whole.mean + _FAR * float(np.sqrt(whole.variance))
        return cls(cap=cap, loss=whole) if 0 < cap < np.inf else None


def of_exact(known: Sample, values: np.ndarray) -> Capped | None:
    """Return what is known of a holdout without any loss: it has none under any cap.

    So the cap is that of the later losses ``values``; None of a holdout that lost anything.

    >>> before = Sample(rows=80, mean=0.0, variance=0.0, worth=80.0)
    >>> of_exact(before, np.repeat([500.0, 1e6], [290, 10])).cap
    500.0
    """
    if known.mean or known.variance:
        return None
    found = measure(values, ordered=True)
    return None if found is None else Capped(cap=found.cap, loss=known)


def measure(values: np.ndarray, *, ordered: bool) -> Capped | None:
    """Return the losses of a holdout with a cap at their ninth decile, None if that caps none.

    So it is where a row is right or wrong and nothing in between: no loss is huge.

    >>> measure(np.repeat([1.0, 2.0, 90.0], [80, 15, 5]), ordered=False).cap
    2.0
    >>> measure(np.repeat([0.0, 1.0], [95, 5]), ordered=False) is None
    True
    """
    if len(values) < _FEWEST:
        return None
    cap = float(np.quantile(values, _BELOW))
    if not 0 < cap < values.max():
        return None
    return Capped(cap=cap, loss=_sample(values, cap, ordered=ordered))


def again(known: Capped | None, values: np.ndarray, *, ordered: bool) -> Capped | None:
    """Return later losses with the same cap."""
    if known is None:
        return None
    return Capped(cap=known.cap, loss=_sample(values, known.cap, ordered=ordered))


def compare(known: Capped, found: Capped, *, tolerance: float, alpha: float) -> Rise:
    """Test whether typical rows lose more than they did, by more than is tolerated (``rise``)."""
    tolerated = tolerance * abs(known.loss.mean)
    return rise.compare(known.loss, found.loss, tolerated=tolerated, alpha=alpha)


def _sample(values: np.ndarray, cap: float, *, ordered: bool) -> Sample:
    return rise.measure(np.minimum(values, cap), ordered=ordered)
