"""Prior shift, before any actual has come: each class looks as it did, and has another share.

Estimates the shares, tells this from moved inputs, and corrects probabilities for it. What actual
values say afterwards is in ``base_rate``.
"""

from typing import Final, NamedTuple

import numpy as np
from scipy import special

_PARTS: Final = 8
_MOVED: Final = 0.05  # that something has moved must be this sure
_FITS: Final = 0.05  # that the classes look as they did may not be less likely than this
_ROUNDS: Final = 500
_CLOSE: Final = 1e-6
_MOST_ROWS: Final = 5_000


class Looks(NamedTuple):
    """What the rows of each class look like, column by column.

    ``edges`` has shape (columns, parts - 1), filled up with infinity; ``counts`` has shape
    (classes, columns, parts + 1), missing values last.
    """

    edges: np.ndarray
    counts: np.ndarray


def look(matrix: np.ndarray, actual: np.ndarray, classes: int) -> Looks:
    """Return the looks of each class; ``actual`` is the index of the class, -1 for another."""
    edges = np.stack([_edges(column) for column in matrix.T])
    counts = np.stack([count(edges, matrix[actual == place]) for place in range(classes)])
    return Looks(edges, counts)


def shares(probabilities: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return the share of each class that makes the rows likeliest (Saerens et al. 2002).

    ``probabilities`` are right where the shares are ``base``.

    >>> said = np.array([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50)
    >>> shares(said, np.array([0.5, 0.5])).round(3).tolist()
    [0.5, 0.5]
    """
    step = max(1, len(probabilities) // _MOST_ROWS)
    found, looked = base, probabilities[::step]
    for _ in range(_ROUNDS):
        before, found = found, mend(looked, base, found).mean(axis=0)
        if np.abs(found - before).max() < _CLOSE:
            break
    return found


def mend(probabilities: np.ndarray, base: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return what ``probabilities`` are if the classes' shares go from ``base`` to ``now``.

    >>> mend(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.8, 0.2])).tolist()
    [[0.8, 0.2]]
    """
    factor = np.divide(now, base, out=np.zeros_like(base), where=base > 0)
    raw = probabilities * factor
    total = (raw @ np.ones(len(base)))[:, None]  # many times quicker than a sum along short rows
    mended: np.ndarray = np.divide(raw, total, out=probabilities.copy(), where=total > 0)
    return mended


def count(edges: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return how many values of each column fall into which part, missing values last."""
    counted = []
    for limits, column in zip(edges, matrix.T, strict=True):
        part = np.where(np.isnan(column), _PARTS, np.searchsorted(limits, column))
        counted.append(np.bincount(part, minlength=_PARTS + 1))
    return np.stack(counted)


def moved(looks: Looks, seen: np.ndarray) -> bool:
    """Tell whether rows that ``count`` has seen differ from those before.

    They are taken for independent ones, here and in ``explained``: of rows that are not, a mix of
    the classes explains less, so that nothing is claimed of them.
    """
    sizes = looks.counts.sum(axis=2)[:, 0]
    return _likelihood(looks, seen, sizes / sizes.sum()) < _MOVED


def explained(looks: Looks, seen: np.ndarray, now: np.ndarray) -> bool:
    """Tell whether they look like a mix of the classes as they were, in the shares ``now``."""
    sizes = looks.counts.sum(axis=2)[:, 0]
    return bool((sizes[now > 0] > 0).all()) and _likelihood(looks, seen, now) > _FITS


def _likelihood(looks: Looks, seen: np.ndarray, mix: np.ndarray) -> float:
    """Return the smallest p-value of the columns, corrected for how many there are."""
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
