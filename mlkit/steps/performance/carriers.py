"""Outliers: the few rows that carry most of the loss, and actual values far from all others."""

from typing import Final, NamedTuple

import numpy as np

_CARRIED: Final = 0.8  # share of the sum of all losses
_FEW: Final = 0.05  # share of the rows, at most
_FAR: Final = 30.0  # interquartile ranges, or standard deviations of the holdout, from the median
_SHOWN: Final = 3


class Carriers(NamedTuple):
    """The ``rows`` with the largest losses, and their share of the sum of all losses."""

    rows: np.ndarray
    share: float


def find(losses: np.ndarray) -> Carriers | None:
    """Return the few rows that carry most of the loss, None if it takes many rows.

    >>> find(np.array([1e6, *[1.0] * 99]))
    Carriers(rows=array([0]), share=0.9999010098000298)
    >>> find(np.ones(100)) is None
    True
    """
    total = float(losses.sum())
    if not 0 < total < np.inf:
        return None
    order = np.argsort(losses)[::-1]
    sums = np.cumsum(losses[order])
    count = int(np.searchsorted(sums, _CARRIED * total)) + 1
    if count > _FEW * len(losses):
        return None
    return Carriers(order[:count], float(sums[count - 1]) / total)


def far(values: np.ndarray, spread: float) -> np.ndarray:
    """Tell which ``values`` are outliers, by their interquartile range and ``spread``.

    ``spread`` is the standard deviation on the holdout, 0 if it is not known.

    >>> far(np.array([1.0, 2.0, 3.0, 4.0, 999999.0]), 1.0).tolist()
    [False, False, False, False, True]
    """
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    apart = max(float(high - low), spread)
    found: np.ndarray = np.abs(values - middle) > _FAR * apart
    return found


def in_words(found: Carriers, actuals: np.ndarray | None, spread: float) -> str:
    """Say how few rows carry the loss, and whether their actual values are the reason.

    >>> actuals = np.array([999999.0, *[1.0] * 99])
    >>> in_words(find(np.abs(actuals)), actuals, 1.0)
    '1 of 100 rows carries 100% of the loss; 1 actual lies far from all others (999999)'
    """
    count = len(found.rows)
    one = count == 1
    rows = "" if actuals is None else f" of {len(actuals)}"
    said = f"{count}{rows} rows {'carries' if one else 'carry'} {found.share:.0%} of the loss"
    if actuals is None:
        return said
    odd = actuals[far(actuals, spread)]
    if not len(odd) or len(odd) > _FEW * len(actuals):
        return said
    named, counts = np.unique(odd, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_SHOWN]
    texts = [f"{named[k]:.10g}" + (f" {counts[k]} times" if counts[k] > 1 else "") for k in most]
    more = ", ..." if len(named) > _SHOWN else ""
    lie = "actual lies" if len(odd) == 1 else "actuals lie"
    return f"{said}; {len(odd)} {lie} far from all others ({', '.join(texts)}{more})"
