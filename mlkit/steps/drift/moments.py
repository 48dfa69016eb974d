"""Where the values of a sample lie among those of a reference: higher, wider, to one side.

The KS distance sees a step anywhere, but hardly a spread that grew; this second look does. The
moments are those of the ranks, so that outliers and units do not matter.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from scipy import special

COUNT: Final = 4

_PARTS: Final = 256
_LEAST: Final = 0.5  # of what a moment is in a reference without ties


class Scale(NamedTuple):
    """A reference cut into parts of equal size by ``edges``.

    ``scores`` has one row for each part and one column for each moment, of which the reference's
    mean is 0 and its variance 1, and no two are correlated.
    """

    edges: np.ndarray
    scores: np.ndarray


def scale(ordered: np.ndarray) -> Scale:
    """Return how ranks in ``ordered``, which is not empty, are scored.

    By the first polynomials orthogonal on the ranks: Legendre's, where there are no ties; then the
    first is Wilcoxon's test, the second Mood's. Moments that ties make meaningless are left out.

    >>> scale(np.arange(10_000)).scores.shape
    (256, 4)
    """
    edges = np.unique(ordered[np.arange(1, _PARTS) * len(ordered) // _PARTS])
    return Scale(edges, _scores(_counts(ordered, edges).tobytes()))


@lru_cache(maxsize=64)
def _scores(encoded: bytes) -> np.ndarray:
    """Return the scores of parts with so many values: the same for all columns without ties."""
    counts = np.frombuffer(encoded, dtype=np.int64)
    shares = counts / counts.sum()
    middles = np.cumsum(shares) - shares / 2
    powers = np.asarray(np.polynomial.legendre.legvander(2 * middles - 1, COUNT), dtype=float)
    powers *= np.sqrt(2 * np.arange(COUNT + 1) + 1)
    _, root = np.linalg.qr(powers * np.sqrt(shares)[:, None])
    sizes = np.abs(np.diag(root))
    kept = int(np.argmin([*(sizes >= _LEAST), False]))
    scores: np.ndarray = np.linalg.solve(root[:kept, :kept].T, powers[:, :kept].T).T[:, 1:]
    scores.flags.writeable = False
    return scores


def series(values: np.ndarray, known: Scale) -> np.ndarray:
    """Return the scores of ``values`` in their own order: one row each, one column a moment."""
    found: np.ndarray = known.scores[np.searchsorted(known.edges, values, side="right")]
    return found


def means(ordered: np.ndarray, known: Scale) -> np.ndarray:
    """Return the mean scores of the values in ``ordered``."""
    found: np.ndarray = _counts(ordered, known.edges) @ known.scores / len(ordered)
    return found


def p_value(means_found: np.ndarray, rows: np.ndarray) -> float:
    """Return the probability of moments, at least one, further away by chance.

    The squares of the normalized moments, weighted by 1/2, 1/6, 1/12 and 1/20, are summed: the
    leading terms of Anderson and Darling's statistic. Its upper tail is that of the first term
    times a constant (Zolotarev 1961): with 1.5 within 12 % from p = 0.05 to 0.0001, by simulation.
    ``rows`` are the effective ones for each moment. In few of them a high first moment bends the
    others: Student's tail with twice as many degrees of freedom allows for it (27 effective rows of
    AR(1) data: 1 to 1.3 times the normal tail's p at 0.01, and 2.3 times at 0.0005).

    >>> round(p_value(np.array([0.1, 0.0]), np.array([500.0, 500.0])), 4)
    0.0384
    """
    order = np.arange(1, len(means_found) + 1)
    total = float((means_found**2 * rows / (order * (order + 1))).sum())
    return min(1.0, 3 * float(special.stdtr(2 * rows.min(), -np.sqrt(2 * total))))


def _counts(ordered: np.ndarray, edges: np.ndarray) -> np.ndarray:
    places = np.searchsorted(ordered, edges, side="left")
    return np.diff(places, prepend=0, append=len(ordered))
