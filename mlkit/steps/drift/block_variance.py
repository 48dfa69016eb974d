"""How much blocks of rows vary beside what as many independent rows would.

The ratio of the two variances is the design effect, tau here: n dependent rows say as much as
n / tau independent ones, the effective sample size (Kish 1965, Survey Sampling, section 8.2).
A block is compared with all rows outside of it. Of independent rows, the difference of two shares
p has the variance p (1 - p) (1/n + 1/m); ``joint`` below is 1 / (1/n + 1/m).
"""

from typing import Final, Literal, NamedTuple

import numpy as np
from scipy import special

Statistic = Literal["ks", "chi2"]

_CONFIDENCE: Final = 0.95


class Observed(NamedTuple):
    """Two taus of the same blocks.

    ``usual`` explains how much they vary on average. With ``largest`` the largest distance among
    them would be a matter of one case in twenty.
    """

    usual: float
    largest: float


def observe(statistic: Statistic, counts: np.ndarray, others: np.ndarray) -> Observed:
    """Return the taus of blocks, from counts of rows by cell.

    ``counts`` has the shape (..., cells), one line for each block; ``others`` are the rows that the
    block is compared with, of the same shape.
    """
    return _STATISTICS[statistic](counts, others)


def level_of_largest(count: int) -> float:
    """Return the p value that the smallest of ``count`` falls below in one of twenty cases (Sidak).

    >>> round(level_of_largest(1), 2)
    0.05
    """
    return float(1 - _CONFIDENCE ** (1 / max(1, count)))


def _ks(counts: np.ndarray, others: np.ndarray) -> Observed:
    """Compare the distribution functions F and G in each cell.

    (F - G)^2 joint has the mean u (1 - u) tau(u) at the quantile u. The largest gap behaves, far
    out, as the gap where it varies most, at u = 1/2; hence the factor 4.
    """
    joint = _joint(counts, others)[..., 0]
    squares = np.cumsum(_shares(counts) - _shares(others), axis=-1) ** 2
    weighed = np.tensordot(joint**2 / joint.sum(), squares, axes=joint.ndim)
    limit = float(special.kolmogi(level_of_largest(int((joint > 0).sum()))))
    return Observed(
        4 * float(weighed.max()), float((squares.max(axis=-1) * joint).max()) / limit**2
    )


def _chi2(counts: np.ndarray, others: np.ndarray) -> Observed:
    """Compare the shares of the cells by Pearson's statistic.

    Its mean is its degrees of freedom times tau (Rao and Scott 1981, J. Am. Stat. Assoc. 76).
    """
    total = counts + others
    joint = _joint(counts, others)
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = _shares(counts) - _shares(others)
        squares = np.where(total > 0, distances**2 * joint / _shares(total), 0.0).sum(axis=-1)
    freedom = np.maximum((total > 0).sum(axis=-1) - 1, 0)
    if not freedom.any():
        return Observed(1.0, 1.0)
    weights = joint[..., 0]
    usual = float((squares * weights).sum() / (freedom * weights).sum())
    limit = special.chdtri(np.maximum(freedom, 1), level_of_largest(int((joint > 0).sum())))
    return Observed(usual, float((squares / limit).max()))


def _joint(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return 1 / (1/n + 1/m) for n rows of a block and m other rows, 0 for an empty block."""
    n, m = (part.sum(axis=-1, keepdims=True) for part in (counts, others))
    return np.asarray(n * m / np.maximum(n + m, 1))


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1))


_STATISTICS: Final = {"ks": _ks, "chi2": _chi2}
