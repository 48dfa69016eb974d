"""Estimate the design effect: the variance among blocks of rows over that of independent rows.

This ratio is called tau here: n dependent rows carry as much information as n / tau independent
ones, the effective sample size (Kish 1965, Survey Sampling, section 8.2). A block of n rows is
compared with the m rows outside it. For independent rows the difference of two shares p has the
variance p (1 - p) (1/n + 1/m); ``size`` below is 1 / (1/n + 1/m).
"""

from typing import Final, Literal, NamedTuple

import numpy as np
from scipy import special

Statistic = Literal["ks", "chi2"]

_CONFIDENCE: Final = 0.95


class Observed(NamedTuple):
    """Two estimates of tau from the same blocks.

    ``usual`` is the ratio of the variances. ``largest`` is the tau with which the largest distance
    among the blocks would just reach the 95 % quantile of such a maximum.
    """

    usual: float
    largest: float


def observe(statistic: Statistic, counts: np.ndarray, others: np.ndarray) -> Observed:
    """Return the taus of blocks, from counts of rows by cell.

    ``counts`` has the shape (..., cells), one vector per block. ``others``, of the same shape, are
    the counts of the rows that each block is compared with.
    """
    return _STATISTICS[statistic](counts, others)


def level_of_largest(count: int) -> float:
    """Return the 5 % quantile of the smallest of ``count`` p values: 1 - 0.95^(1/count) (Sidak).

    >>> round(level_of_largest(1), 2)
    0.05
    """
    return float(1 - _CONFIDENCE ** (1 / max(1, count)))


def _ks(counts: np.ndarray, others: np.ndarray) -> Observed:
    """Return the taus for the Kolmogorov-Smirnov distance of distribution functions F and G.

    At the quantile u, E[(F - G)² size] = u (1 - u) tau(u). The tail of the KS statistic is governed
    by the quantile with the largest variance, which is u = 1/2 for independent rows. So tau is the
    maximum over u of that mean, divided by 1/2 (1 - 1/2): hence the factor 4.
    """
    size = _comparison_size(counts, others)[..., 0]
    squares = np.cumsum(_shares(counts) - _shares(others), axis=-1) ** 2
    weighed = np.tensordot(size**2 / size.sum(), squares, axes=size.ndim)
    limit = float(special.kolmogi(level_of_largest(int((size > 0).sum()))))
    return Observed(4 * float(weighed.max()), float((squares.max(axis=-1) * size).max()) / limit**2)


def _chi2(counts: np.ndarray, others: np.ndarray) -> Observed:
    """Return the taus for Pearson's χ² of the shares of the cells.

    E[χ²] = tau · degrees of freedom (Rao and Scott 1981, J. Am. Stat. Assoc. 76).
    """
    total = counts + others
    size = _comparison_size(counts, others)
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = _shares(counts) - _shares(others)
        squares = np.where(total > 0, distances**2 * size / _shares(total), 0.0).sum(axis=-1)
    freedom = np.maximum((total > 0).sum(axis=-1) - 1, 0)
    if not freedom.any():
        return Observed(1.0, 1.0)
    weights = size[..., 0]
    usual = float((squares * weights).sum() / (freedom * weights).sum())
    limit = special.chdtri(np.maximum(freedom, 1), level_of_largest(int((size > 0).sum())))
    return Observed(usual, float((squares / limit).max()))


def _comparison_size(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return 1 / (1/n + 1/m) for blocks of n rows and m other rows; 0 for an empty block."""
    n, m = (part.sum(axis=-1, keepdims=True) for part in (counts, others))
    return np.asarray(n * m / np.maximum(n + m, 1))


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1))


_STATISTICS: Final = {"ks": _ks, "chi2": _chi2}
