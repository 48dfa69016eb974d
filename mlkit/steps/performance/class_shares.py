"""Prior shift before actuals come: P(x | y) of each class is as before, its share is not.

Estimates the class shares, tells prior shift from covariate shift, and corrects probabilities. The
test with actual values is in ``base_rate``.
"""

from typing import Final, NamedTuple

import numpy as np
from scipy import special

_PARTS: Final = 8
_MOVED: Final = 0.05  # significance level of the test that inputs have changed
_FITS: Final = 0.05  # p value above which a mix of the known classes explains the inputs
_ROUNDS: Final = 500
_CLOSE: Final = 1e-6
_MOST_ROWS: Final = 5_000


class Looks(NamedTuple):
    """Histograms of each column for each class.

    ``edges`` has shape (columns, parts - 1), padded with infinity; ``counts`` has shape
    (classes, columns, parts + 1), missing values last.
    """

    edges: np.ndarray
    counts: np.ndarray


def look(matrix: np.ndarray, actual: np.ndarray, classes: int) -> Looks:
    """Return the histograms of each class; ``actual`` are class indexes, -1 for an unknown one."""
    edges = np.stack([_edges(column) for column in matrix.T])
    counts = np.stack([count(edges, matrix[actual == place]) for place in range(classes)])
    return Looks(edges, counts)


def shares(probabilities: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return the maximum likelihood estimate of the class shares (Saerens et al. 2002).

    An EM algorithm: correct the probabilities for the current shares (``correct``), take their mean
    as the next shares. ``probabilities`` must be calibrated for the shares ``base``.

    >>> said = np.array([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50)
    >>> shares(said, np.array([0.5, 0.5])).round(3).tolist()
    [0.5, 0.5]
    """
    step = max(1, len(probabilities) // _MOST_ROWS)
    found, looked = base, probabilities[::step]
    for _ in range(_ROUNDS):
        before, found = found, correct(looked, base, found).mean(axis=0)
        if np.abs(found - before).max() < _CLOSE:
            break
    return found


def correct(probabilities: np.ndarray, base: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return ``probabilities`` corrected for class shares that go from ``base`` to ``now``.

    p'(y | x) is proportional to p(y | x) now(y) / base(y) (Bayes).

    >>> correct(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.8, 0.2])).tolist()
    [[0.8, 0.2]]
    """
    factor = np.divide(now, base, out=np.zeros_like(base), where=base > 0)
    raw = probabilities * factor
    total = (raw @ np.ones(len(base)))[:, None]  # much faster than a sum along short rows
    corrected: np.ndarray = np.divide(raw, total, out=probabilities.copy(), where=total > 0)
    return corrected


def count(edges: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the histogram of each column with these ``edges``, missing values last."""
    counted = []
    for limits, column in zip(edges, matrix.T, strict=True):
        part = np.where(np.isnan(column), _PARTS, np.searchsorted(limits, column))
        counted.append(np.bincount(part, minlength=_PARTS + 1))
    return np.stack(counted)


def moved(looks: Looks, seen: np.ndarray) -> bool:
    """Tell whether rows with the histograms ``seen`` differ from those of the holdout.

    Rows are assumed independent, here and in ``explained``. If they are not, ``explained`` is less
    often true, and no prior shift is claimed.
    """
    sizes = looks.counts.sum(axis=2)[:, 0]
    return _p_value(looks, seen, sizes / sizes.sum()) < _MOVED


def explained(looks: Looks, seen: np.ndarray, now: np.ndarray) -> bool:
    """Tell whether a mix of the known classes with the shares ``now`` explains the rows."""
    sizes = looks.counts.sum(axis=2)[:, 0]
    return bool((sizes[now > 0] > 0).all()) and _p_value(looks, seen, now) > _FITS


def _p_value(looks: Looks, seen: np.ndarray, mix: np.ndarray) -> float:
    """Return the smallest p value of the columns, by Bonferroni's correction.

    For each column χ² = Σ (seen share - expected share)² / variance, where the variance is that of
    the window's rows plus that of the rows of each class on the holdout.
    """
    used = looks.counts.sum(axis=0) + seen > 0
    counts = looks.counts + 0.5 * used  # so that no part of a class is impossible
    sizes = counts.sum(axis=2, keepdims=True)
    known = counts / sizes
    weights = mix.reshape(-1, 1, 1)
    expected = (weights * known).sum(axis=0)
    rows = seen.sum(axis=1, keepdims=True)
    noise = expected / rows + (weights**2 * known / sizes).sum(axis=0)
    gaps = (seen / rows - expected) ** 2
    squares = np.divide(gaps, noise, out=np.zeros_like(gaps), where=used)
    freedom = np.maximum(used.sum(axis=1) - 1, 1)
    likely = special.chdtrc(freedom, squares.sum(axis=1))
    return float(likely.min() * len(likely))


def _edges(column: np.ndarray) -> np.ndarray:
    present = column[~np.isnan(column)]
    edges = np.full(_PARTS - 1, np.inf)
    if len(present):
        found = np.unique(np.quantile(present, np.arange(1, _PARTS) / _PARTS))
        edges[: len(found)] = found
    return edges
