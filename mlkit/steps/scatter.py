"""How far windows of a table scatter around the whole of it, though nothing has changed.

Rows of a log resemble their neighbours, and mornings, weekends and batches have a mix of their own:
n rows in a row differ from the rest by more than n rows drawn at random. By how much is measured
here, on the reference itself, for windows of several sizes.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy import special

from mlkit.steps import correlation

CELLS: Final = 1_024

_SMALLEST: Final = 64
_STEPS: Final = 4  # sizes from one to its double: a window of a whole day is no window of a half
_FEWEST_WINDOWS: Final = 8
_MOST_WINDOWS: Final = 60
_PATIENCE: Final = 2.0
_LEADING: Final = 3  # labels whose series stand for the others

Statistic = Literal["ks", "chi2"]


def sizes(rows: int) -> tuple[int, ...]:
    """Return the window sizes at which a table of ``rows`` rows can be looked at.

    >>> sizes(2_000)
    (64, 76, 90, 107, 128, 152, 181, 215)
    """
    most = rows / (_FEWEST_WINDOWS * _SMALLEST)
    count = 1 + int(_STEPS * np.log2(most)) if most >= 1 else 0
    return tuple(int(_SMALLEST * 2 ** (place / _STEPS)) for place in range(count))


def taus(codes: np.ndarray, statistic: Statistic, wanted: Sequence[int]) -> np.ndarray:
    """Return for each window size how many rows in time order are worth one independent row, >= 1.

    ``codes`` are the cells of the values of one column, in time order, counted from 0. A window
    is compared with all other rows by ``statistic``; how much the windows vary, and the largest
    distance among them, are set against what independent rows give. A size of which there are too
    few windows has the tau of the one before; a column that is too short for any is taken as one
    series whose neighbours resemble each other.
    """
    total = np.bincount(codes)
    short = len(wanted) and len(codes) < _FEWEST_WINDOWS * wanted[0]
    found = [of_series(codes, statistic) if short else 1.0]
    for size in wanted:
        enough = len(codes) >= _FEWEST_WINDOWS * size
        found.append(_tau(codes, total, statistic, size) if enough else found[-1])
    return np.array(found[1:])


def at(taus_found: np.ndarray, sizes_found: Sequence[int], rows: int) -> float:
    """Return the tau of a window of ``rows`` rows, between and beyond the sizes looked at.

    >>> round(at(np.array([1.0, 4.0]), [100, 400], 200), 6)
    2.0
    """
    if not len(sizes_found):
        return 1.0
    places = np.log(np.asarray(sizes_found, dtype=float))
    return float(np.exp(np.interp(np.log(max(rows, 1)), places, np.log(taus_found))))


def cells(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return for each of ``values`` which of ``CELLS`` equal parts of ``ordered`` it falls into."""
    edges = ordered[(np.arange(1, CELLS) * len(ordered)) // CELLS]
    found: np.ndarray = np.searchsorted(edges, values, side="right")
    return found


def of_series(codes: np.ndarray, statistic: Statistic) -> float:
    """Return how many rows are worth one by the likeness of neighbours alone."""
    if not len(codes):
        return 1.0
    if statistic == "ks":
        quartiles = np.quantile(codes, (0.25, 0.5, 0.75))
        return correlation.time([codes <= quartile for quartile in quartiles])
    return correlation.time([codes == code for code in range(min(_LEADING, int(codes.max()) + 1))])


class _Look(NamedTuple):
    """Windows beside what independent rows would give, as taus.

    ``usual`` explains how much they vary; with ``largest`` the largest of their distances would be
    a matter of one in twenty.
    """

    usual: float
    largest: float


def _tau(codes: np.ndarray, total: np.ndarray, statistic: Statistic, size: int) -> float:
    rows = len(codes)
    count = min(_MOST_WINDOWS, rows // size)
    starts = np.linspace(0, rows - size, count).astype(int)
    windows = np.stack(
        [np.bincount(codes[start : start + size], minlength=len(total)) for start in starts]
    )
    found = _LOOKS[statistic](windows, total)
    noise = np.sqrt(2 / count)  # the relative error of a variance
    usual = found.usual if found.usual > 1 + _PATIENCE * noise else 1.0
    return max(1.0, usual, found.largest)


def _ks(windows: np.ndarray, total: np.ndarray) -> _Look:
    """Look at the distribution functions.

    Far out, the largest gap behaves as the gap where it varies most: 4 u (1 - u) tau(u).
    """
    size, rows = int(windows[0].sum()), int(total.sum())
    gaps = np.cumsum(windows, axis=1) / size - np.cumsum(total) / rows
    squares = gaps**2 * size * rows / (rows - size)  # to the other rows, not to all of them
    rare = float(special.kolmogi(_rare(len(windows))))
    return _Look(4 * float(squares.mean(axis=0).max()), float(squares.max()) / rare**2)


def _chi2(windows: np.ndarray, total: np.ndarray) -> _Look:
    """Look at Pearson's statistic, whose mean is its degrees of freedom (Rao and Scott 1981)."""
    size, rows = int(windows[0].sum()), int(total.sum())
    seen = total > 0
    freedom = int(seen.sum()) - 1
    if not freedom:
        return _Look(1.0, 1.0)
    expected = total[seen] * size / rows
    squares = ((windows[:, seen] - expected) ** 2 / expected).sum(axis=1) * rows / (rows - size)
    rare = float(special.chdtri(freedom, _rare(len(windows))))
    return _Look(float(squares.mean()) / freedom, float(squares.max()) / rare)


def _rare(count: int) -> float:
    """Return the probability that the largest of ``count`` exceeds in one of twenty cases."""
    return float(1 - 0.95 ** (1 / count))


_LOOKS: Final = {"ks": _ks, "chi2": _chi2}
