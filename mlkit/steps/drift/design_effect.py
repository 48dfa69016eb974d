"""The design effect of windows of a table: how many rows in time order are worth one, tau.

Rows of a log resemble their neighbours, and mornings, weekends and batches have a mix of their own.
So n rows in a row differ from all others by more than n rows drawn at random, though nothing has
changed, and a test that takes them for independent finds drift in every window. By how much is
measured on the reference itself, for windows of several sizes: the variance among overlapping
windows divided by that of independent rows (``block_variance``).

The obvious estimate, the sum of the autocorrelations of a series (``correlation``), sees neighbours
only. It misses the day and the week: a window of half a day has a mix that its neighbour has not.
It is used where a table is too short for eight windows.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from mlkit.steps.drift import block_variance, correlation
from mlkit.steps.drift.block_variance import Statistic

CELLS: Final = 256

_SMALLEST: Final = 64
_STEPS: Final = 4  # sizes from one to its double: a window of a whole day is no window of a half
_FEWEST_WINDOWS: Final = 8
_MOST_WINDOWS: Final = 240
_OVERLAP: Final = 4  # windows for each that there is room for
_WORTH: Final = 1.5  # windows that overlap by 3/4 have 1.5 times the degrees of freedom of windows
#   that do not: overlapping batch means, Meketon and Schmeiser 1984, Proc. Winter Simulation Conf.
_NEAR: Final = 4  # windows down to a quarter are pooled unless they differ clearly,
_FAR: Final = 16  # down to a sixteenth unless they differ at all,
_LONG: Final = 20  # if they are this many tau long: in shorter ones AR(1) has a tau 3 % too small
_STANDARD_ERRORS: Final = 2.0  # that make a difference clear
_ALPHA: Final = 5e-4  # of a test of one of twenty features, for one false alarm in 90 checks
_LEADING: Final = 3  # labels whose series stand for the others


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
    possible = _possible(len(codes), wanted)
    if len(wanted) and not possible:
        return np.full(len(wanted), of_series(codes, statistic))
    found = [_estimate(codes, total, statistic, size) for size in possible]
    return _filled(_pooled(found, possible), wanted)


def mean_taus(scores: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Return the same of the mean of each column of ``scores``, whose rows are in time order.

    The result has one row for each column. Scores are bounded, with mean 0 and variance 1.
    """
    possible = _possible(len(scores), wanted)
    if len(wanted) and not possible:
        found = [correlation.time([column]) for column in scores.T]
        return np.repeat(np.array(found).reshape(-1, 1), len(wanted), axis=1)
    sums = np.cumsum(np.vstack([np.zeros(scores.shape[1]), scores]), axis=0)
    return np.array([
        _filled(_pooled([_estimate_of_means(column, size) for size in possible], possible), wanted)
        for column in sums.T
    ]).reshape(scores.shape[1], len(wanted))  # fmt: skip


def at(taus_found: np.ndarray, sizes_found: Sequence[int], rows: float) -> float:
    """Return the tau of a window of ``rows`` rows, between and beyond the sizes looked at.

    Beyond them it is the largest of the last ones: a window that is no whole number of weeks.

    >>> round(at(np.array([1.0, 4.0]), [100, 400], 200), 6)
    2.0
    """
    if not len(sizes_found):
        return 1.0
    places = np.log(np.asarray(sizes_found, dtype=float))
    last = float(taus_found[-_STEPS:].max())
    return float(
        np.exp(np.interp(np.log(max(rows, 1)), places, np.log(taus_found), right=np.log(last)))
    )


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


class _Estimate(NamedTuple):
    """The taus of windows of one size, as in ``block_variance.Observed``.

    ``freedom`` is the number of windows that do not overlap and would tell as much.
    """

    usual: float
    freedom: float
    largest: float


def _possible(rows: int, wanted: Sequence[int]) -> list[int]:
    return [size for size in wanted if rows >= _FEWEST_WINDOWS * size]


def _filled(found: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    return np.append(found, np.full(len(wanted) - len(found), found[-1] if len(found) else 1.0))


def _pooled(found: Sequence[_Estimate], of_sizes: Sequence[int]) -> np.ndarray:
    """Return a tau for each size from the estimates at this size and at smaller ones.

    There are few large windows, so their own variance is known badly. Tau grows with the window
    until that is long beside the memory of the series, and is the same from then on. So estimates
    of smaller windows are pooled with it: those of near sizes unless they differ by more than two
    standard errors, those of far sizes unless they differ by one.

    A tau within the noise of 1 is 1: independent rows stay independent. Any other is raised
    (``_margin``), because an estimate that is too small by chance brings false alarms.
    """
    pooled = []
    for place, estimate in enumerate(found):
        tau, freedom, largest = estimate
        size = of_sizes[place]
        near = _together(found[: place + 1], of_sizes, size / _NEAR)
        if abs(tau - near.usual) <= _STANDARD_ERRORS * near.usual * _noise(freedom):
            tau, freedom, _ = near
        far = _together(found[: place + 1], of_sizes, min(max(size / _FAR, _LONG * tau), size))
        if far.freedom > freedom and abs(tau - far.usual) <= far.usual * _noise(freedom):
            tau, freedom, _ = far
        clear = tau > 1 + _STANDARD_ERRORS * _noise(freedom)
        pooled.append(max(1.0, tau * _margin(freedom) if clear else 1.0, largest))
    return np.array(pooled)


def _together(found: Sequence[_Estimate], of_sizes: Sequence[int], least: float) -> _Estimate:
    """Return the mean of the estimates at windows of ``least`` rows and more, by their freedom."""
    near = [each for each, size in zip(found, of_sizes, strict=False) if size >= least]
    weights = [each.freedom for each in near]
    usual = float(np.average([each.usual for each in near], weights=weights))
    return _Estimate(usual, float(np.mean(weights)), 0.0)


def _noise(freedom: float) -> float:
    """Return the relative standard error of a variance from ``freedom`` windows: sqrt(2 / f)."""
    return float(np.sqrt(2 / freedom))


def _margin(freedom: float) -> float:
    """Return by how much a variance known from ``freedom`` windows is raised.

    Student's distribution is wider than the normal one by the square root of it, at ``_ALPHA``.

    >>> [round(_margin(windows), 2) for windows in (8, 30, 1_000)]
    [2.6, 1.26, 1.01]
    """
    wide = special.stdtrit(freedom, 1 - _ALPHA / 2)
    return float((wide / special.ndtri(1 - _ALPHA / 2)) ** 2)


def _starts(rows: int, size: int) -> np.ndarray:
    """Return where windows begin that overlap by three quarters."""
    count = min(_MOST_WINDOWS, 1 + int(_OVERLAP * (rows - size) / size))
    return np.linspace(0, rows - size, count).astype(int)


def _freedom(rows: int, size: int, count: int) -> float:
    """Return how many windows apart know as much: half as many again as there is room for."""
    return min(float(count), _WORTH * rows / size)


def _estimate(codes: np.ndarray, total: np.ndarray, statistic: Statistic, size: int) -> _Estimate:
    starts = _starts(len(codes), size)
    windows = np.stack(
        [np.bincount(codes[start : start + size], minlength=len(total)) for start in starts]
    )
    found = block_variance.observe(statistic, windows, total - windows)
    return _Estimate(found.usual, _freedom(len(codes), size, len(starts)), found.largest)


def _estimate_of_means(sums: np.ndarray, size: int) -> _Estimate:
    """Return the taus of means: (mean of n - mean of the others)^2 n (N - n) / N is chi2 with 1."""
    rows = len(sums) - 1
    starts = _starts(rows, size)
    means = (sums[starts + size] - sums[starts]) / size
    squares = means**2 * size * rows / (rows - size)
    limit = float(special.chdtri(1, block_variance.level_of_largest(len(starts))))
    freedom = _freedom(rows, size, len(starts))
    return _Estimate(float(squares.mean()), freedom, float(squares.max()) / limit)
