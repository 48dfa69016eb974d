"""Winsorised losses: the mean loss of typical rows, whatever a few huge losses are.

Losses are capped at a quantile of the holdout (winsorised above; Tukey 1962). Their mean is then
nearly normal, as its test assumes, however heavy the tail is (Yuen and Dixon 1973).
"""

from typing import Final, Self

import msgspec
import numpy as np

from mlkit.steps.performance import rise
from mlkit.steps.performance.rise import Rise, Sample

_BELOW: Final = 0.9  # quantile of the holdout's losses: up to a tenth of them may be outliers
_FEWEST: Final = 20  # rows that a quantile needs
_FAR: Final = 3.0  # standard deviations above the mean, if only these two are known


class Capped(msgspec.Struct, frozen=True, kw_only=True):
    """A cap, and the sample of losses capped at it."""

    cap: float
    loss: Sample

    @classmethod
    def of_sample(cls, whole: Sample) -> Self | None:
        """Return the stand-in for capped losses if only the sample of uncapped ones was stored.

        Their mean is at least that of capped ones, so a test against it is conservative.
        """
        cap = whole.mean + _FAR * float(np.sqrt(whole.variance))
        return cls(cap=cap, loss=whole) if 0 < cap < np.inf else None


def of_exact(known: Sample, values: np.ndarray) -> Capped | None:
    """Return the capped losses of a holdout whose losses are all 0: they are 0 with any cap.

    So the cap is taken from the later losses ``values``. None if the holdout has another loss.

    >>> before = Sample(rows=80, mean=0.0, variance=0.0, effective_rows=80.0)
    >>> of_exact(before, np.repeat([500.0, 1e6], [290, 10])).cap
    500.0
    """
    if known.mean or known.variance:
        return None
    found = measure(values, ordered=True)
    return None if found is None else Capped(cap=found.cap, loss=known)


def measure(values: np.ndarray, *, ordered: bool) -> Capped | None:
    """Return the losses of a holdout with a cap at their ninth decile, None if that caps none.

    It caps none, for example, of losses that are 0 or 1: no loss is huge there.

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


def remeasure(known: Capped | None, values: np.ndarray, *, ordered: bool) -> Capped | None:
    """Return later losses with the same cap."""
    if known is None:
        return None
    return Capped(cap=known.cap, loss=_sample(values, known.cap, ordered=ordered))


def compare(known: Capped, found: Capped, *, tolerance: float, alpha: float) -> Rise:
    """Test whether the capped mean has risen by more than the tolerance (``rise``)."""
    tolerated = tolerance * abs(known.loss.mean)
    return rise.compare(known.loss, found.loss, tolerated=tolerated, alpha=alpha)


def _sample(values: np.ndarray, cap: float, *, ordered: bool) -> Sample:
    return rise.measure(np.minimum(values, cap), ordered=ordered)
