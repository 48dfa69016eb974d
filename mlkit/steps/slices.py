"""How far an expected loss is off in parts of a holdout: what it would be worth if inputs moved."""

from typing import Final, NamedTuple

import numpy as np

_PARTS: Final = 4
_FEWEST: Final = 20


class Misfit(NamedTuple):
    """Mean square of how far the parts' mean losses are off, and what of that chance would be."""

    found: float
    chance: float

    @property
    def real(self) -> float:
        """What chance does not explain."""
        return max(self.found - self.chance, 0.0)


def cut(matrix: np.ndarray) -> list[np.ndarray]:
    """Return for each column the masks of its quarters and of its missing values.

    Each part is what a window would look like after that column has moved.
    """
    parts = []
    for column in matrix.T:
        missing = np.isnan(column)
        present = column[~missing]
        if not len(present):
            continue
        edges = np.unique(np.quantile(present, np.arange(1, _PARTS) / _PARTS))
        place = np.where(missing, _PARTS, np.searchsorted(edges, column))
        parts += [place == number for number in np.unique(place)]
    return [part for part in parts if _FEWEST <= part.sum() < len(matrix)]


def misfit(parts: list[np.ndarray], residuals: np.ndarray, *, tau: float = 1.0) -> Misfit:
    """Return how far ``residuals`` (loss minus expected loss) are from 0 in the parts' means.

    ``tau`` rows count for one. A part counts by its rows.

    >>> halves = [np.arange(200) < 100, np.arange(200) >= 100]
    >>> misfit(halves, np.repeat([1.0, -1.0], 100)).real
    1.0
    """
    sizes = np.array([part.sum() for part in parts], dtype=float)
    if not len(sizes):
        return Misfit(0.0, 0.0)
    means = np.array([residuals[part].mean() for part in parts])
    noise = np.array([residuals[part].var() for part in parts]) * np.minimum(tau / sizes, 1.0)
    return Misfit(
        float(np.average(means**2, weights=sizes)), float(np.average(noise, weights=sizes))
    )
