"""The design effect (tau) of windows of a table in time order, for windows of several sizes.

Rows of a log are autocorrelated, and mornings, weekends and batches have distributions of their
own. So n consecutive rows differ from all others by more than n rows drawn at random, although
nothing has changed, and a test that assumes independent rows finds drift in every window. The
design effect is measured on the reference itself: the variance among overlapping windows divided by
that of independent rows (``block_variance``).

The obvious estimate, the sum of the autocorrelations of a series (``correlation``), sees short lags
only. It misses seasons: half a day has another distribution than the other half. It is used where a
table is too short for eight windows.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from mlkit.steps.drift import block_variance, correlation
from mlkit.steps.drift.block_variance import Statistic

CELLS: Final = 256

_SMALLEST: Final = 64
_STEPS: Final = 4  # sizes per doubling: with seasons tau of a whole day and of a half differ much
_FEWEST_WINDOWS: Final = 8
_MOST_WINDOWS: Final = 240
_OVERLAP: Final = 4  # overlapping windows per window without overlap
# Windows that overlap by 3/4 have 1.5 times the degrees of freedom of windows that do not overlap
# (overlapping batch means: Meketon and Schmeiser 1984, Proc. Winter Simulation Conf.).
_OVERLAP_GAIN: Final = 1.5
_NEAR: Final = 4  # sizes down to a quarter are pooled unless they differ by two standard errors
_FAR: Final = 16  # sizes down to a sixteenth are pooled unless they differ by one standard error
_LONG: Final = (
    20  # pooled windows have at least 20 tau rows; in shorter ones tau is 3 % low (AR(1))
)
_STANDARD_ERRORS: Final = 2.0  # by which a difference is significant
_ALPHA: Final = 5e-4  # of a test of one of twenty features, for one false alarm in 90 checks
_LEADING: Final = 3  # most frequent labels, whose indicator series are used


def sizes(rows: int) -> tuple[int, ...]:
    """Return the window sizes for which a table of ``rows`` rows has at least eight windows.

    >>> sizes(2_000)
    (64, 76, 90, 107, 128, 152, 181, 215)
    """
    most = rows / (_FEWEST_WINDOWS * _SMALLEST)
    count = 1 + int(_STEPS * np.log2(most)) if most >= 1 else 0
    return tuple(int(_SMALLEST * 2 ** (place / _STEPS)) for place in range(count))


def taus(codes: np.ndarray, statistic: Statistic, wanted: Sequence[int]) -> np.ndarray:
    """Return the design effect (tau, at least 1) of windows of each of the ``wanted`` sizes.

    ``codes`` are the cells of the values of one column, in time order, counted from 0. A window is
    compared with all other rows by ``statistic``; the variance of the distances, and the largest of
    them, are divided by their values for independent rows. A size with too few windows has the tau
    of the size before; a column too short for any size has the tau of its autocorrelation.
    """
    total = np.bincount(codes)
    possible = _possible(len(codes), wanted)
    if len(wanted) and not possible:
        return np.full(len(wanted), of_series(codes, statistic))
    found = [_estimate(codes, total, statistic, size) for size in possible]
    return _filled(_pooled(found, possible), wanted)


def mean_taus(scores: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Return the design effects of the mean of each column of ``scores``, which is in time order.

    The result has one row per column of ``scores`` and one column per size. Scores are bounded,
    with mean 0 and variance 1.
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
    """Return the tau of a window of ``rows`` rows, interpolated on logarithmic scales.

    Beyond the largest size it is the largest tau of the last four sizes: with a weekly season tau
    falls at whole weeks and rises between them.

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
    """Return for each value its cell: which of ``CELLS`` equal parts of ``ordered`` it is in."""
    edges = ordered[(np.arange(1, CELLS) * len(ordered)) // CELLS]
    found: np.ndarray = np.searchsorted(edges, values, side="right")
    return found


def of_series(codes: np.ndarray, statistic: Statistic) -> float:
    """Return the design effect by the autocorrelation of short lags alone."""
    if not len(codes):
        return 1.0
    if statistic == "ks":
        quartiles = np.quantile(codes, (0.25, 0.5, 0.75))
        return correlation.time([codes <= quartile for quartile in quartiles])
    return correlation.time([codes == code for code in range(min(_LEADING, int(codes.max()) + 1))])


class _Estimate(NamedTuple):
    """The taus of windows of one size, as in ``block_variance.Observed``.

    ``freedom`` are the degrees of freedom: the equivalent number of windows without overlap.
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

    There are few large windows, so the standard error of their variance is large. Tau grows with
    the window until the window is long compared with the autocorrelation time of the series, and is
    constant from then on. So the estimates of smaller windows are pooled with it: near sizes unless
    they differ by more than two standard errors, far sizes unless they differ by more than one.

    A tau within two standard errors of 1 is taken for 1: independent rows stay independent. Any
    other is raised (``_margin``), because a tau that is too small by chance causes false alarms.
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
    """Return the mean of the estimates at sizes of at least ``least``, weighted by freedom."""
    near = [each for each, size in zip(found, of_sizes, strict=False) if size >= least]
    weights = [each.freedom for each in near]
    usual = float(np.average([each.usual for each in near], weights=weights))
    return _Estimate(usual, float(np.mean(weights)), 0.0)


def _noise(freedom: float) -> float:
    """Return the relative standard error of a variance with f degrees of freedom: sqrt(2 / f)."""
    return float(np.sqrt(2 / freedom))


def _margin(freedom: float) -> float:
    """Return the factor by which a variance with few degrees of freedom f is raised.

    (t_{f, 1 - alpha/2} / z_{1 - alpha/2})²: a normal test with the raised variance then has the
    significance level alpha, as Student's t test has with the estimated one.

    >>> [round(_margin(windows), 2) for windows in (8, 30, 1_000)]
    [2.6, 1.26, 1.01]
    """
    wide = special.stdtrit(freedom, 1 - _ALPHA / 2)
    return float((wide / special.ndtri(1 - _ALPHA / 2)) ** 2)


def _starts(rows: int, size: int) -> np.ndarray:
    """Return the starts of windows that overlap by three quarters."""
    count = min(_MOST_WINDOWS, 1 + int(_OVERLAP * (rows - size) / size))
    return np.linspace(0, rows - size, count).astype(int)


def _freedom(rows: int, size: int, count: int) -> float:
    """Return the equivalent number of windows without overlap: 1.5 times as many as fit."""
    return min(float(count), _OVERLAP_GAIN * rows / size)


def _estimate(codes: np.ndarray, total: np.ndarray, statistic: Statistic, size: int) -> _Estimate:
    starts = _starts(len(codes), size)
    windows = np.stack(
        [np.bincount(codes[start : start + size], minlength=len(total)) for start in starts]
    )
    found = block_variance.observe(statistic, windows, total - windows)
    return _Estimate(found.usual, _freedom(len(codes), size, len(starts)), found.largest)


def _estimate_of_means(sums: np.ndarray, size: int) -> _Estimate:
    """Return the taus of the mean of a window of n of N rows.

    The scores have mean 0 and variance 1. For independent rows (difference of the means of the
    window and of the other rows)² n (N - n) / N has a χ² distribution with 1 degree of freedom.
    """
    rows = len(sums) - 1
    starts = _starts(rows, size)
    means = (sums[starts + size] - sums[starts]) / size
    squares = means**2 * size * rows / (rows - size)
    limit = float(special.chdtri(1, block_variance.level_of_largest(len(starts))))
    freedom = _freedom(rows, size, len(starts))
    return _Estimate(float(squares.mean()), freedom, float(squares.max()) / limit)
