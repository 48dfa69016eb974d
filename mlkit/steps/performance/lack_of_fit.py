"""Lack of fit of an expected loss in parts of a holdout: what it is worth if inputs move."""

from typing import Final, NamedTuple

import numpy as np

from mlkit.steps.performance import additive

_PARTS: Final = 4
_FEWEST: Final = 20


class LackOfFit(NamedTuple):
    """Mean square of how far the parts' mean losses are off, and what of that chance would be."""

    found: float
    chance: float

    @property
    def real(self) -> float:
        """What chance does not explain."""
        return max(self.found - self.chance, 0.0)


def cut(matrix: np.ndarray, stretch: np.ndarray) -> list[np.ndarray]:
    """Return ways to part the rows, each as the number of every row's part.

    By the quarters of a column and its missing values, and by the halves of two columns: each part
    is what a window would look like after these have moved. Every stretch is parted for itself:
    what holds in one of them and not in another is no rule.
    """
    quarters = [_place(column, np.arange(1, _PARTS) / _PARTS) for column in matrix.T]
    halves = [_place(column, np.array([0.5])) for column in matrix.T]
    both = [halves[a] * (_PARTS + 1) + halves[b] for a, b in additive.pairs(len(halves))]
    stretches = int(stretch.max(initial=0)) + 1
    return [way * stretches + stretch for way in quarters + both]


def measure(ways: list[np.ndarray], residuals: np.ndarray, *, tau: float = 1.0) -> LackOfFit:
    """Return how far ``residuals`` (loss minus expected loss) are from 0 in the parts' means.

    ``tau`` rows count for one. A part counts by its rows; small ones do not.

    >>> halves = [np.repeat([0, 1], 100)]
    >>> measure(halves, np.repeat([1.0, -1.0], 100)).real
    1.0
    """
    found, chance, rows = 0.0, 0.0, 0
    for way in ways:
        sizes = np.bincount(way)
        kept = (sizes >= _FEWEST) & (sizes < len(residuals))
        counts = sizes[kept].astype(float)
        means = np.bincount(way, residuals)[kept] / counts
        spread = np.maximum(np.bincount(way, residuals**2)[kept] / counts - means**2, 0.0)
        found += float(counts @ means**2)
        chance += float(counts @ (spread * np.minimum(tau / counts, 1.0)))
        rows += int(counts.sum())
    return LackOfFit(found / max(rows, 1), chance / max(rows, 1))


def _place(column: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the part of each value, missing ones last."""
    missing = np.isnan(column)
    present = column[~missing]
    edges = np.unique(np.quantile(present, steps)) if len(present) else np.zeros(0)
    found: np.ndarray = np.where(missing, _PARTS, np.searchsorted(edges, column))
    return found
