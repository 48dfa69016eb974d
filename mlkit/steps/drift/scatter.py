"""How far windows of a table scatter around the whole of it, though nothing has changed.

Rows of a log resemble their neighbours, and mornings, weekends and batches have a mix of their own:
n rows in a row differ from the rest by more than n rows drawn at random. By how much is measured
here, on the reference itself, for windows of several sizes.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy import special

from mlkit.steps.drift import correlation

CELLS: Final = 256

_SMALLEST: Final = 64
_STEPS: Final = 4  # sizes from one to its double: a window of a whole day is no window of a half
_FEWEST_WINDOWS: Final = 8
_MOST_WINDOWS: Final = 240
_OVERLAP: Final = 4  # windows for each that there is room for
_WORTH: Final = 1.5  # of so many that overlap (Meketon and Schmeiser 1984)
_NEAR: Final = 4  # times smaller
_FAR: Final = 16
_LONG: Final = 20  # times tau: in shorter windows an autoregressive series has 3 % less and more
_PATIENCE: Final = 2.0
_RARE: Final = 5e-4  # about what one of twenty features may take of one false alarm in 90 checks
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
    possible = _possible(len(codes), wanted)
    if len(wanted) and not possible:
        return np.full(len(wanted), of_series(codes, statistic))
    looks = [_look(codes, total, statistic, size) for size in possible]
    return _filled(_settled(looks, possible), wanted)


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
        _filled(_settled([_look_of_means(column, size) for size in possible], possible), wanted)
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


class _Look(NamedTuple):
    """Windows of one size beside what independent rows would give, as taus.

    ``usual`` explains how much they vary; with ``largest`` the largest of their distances would be
    a matter of one in twenty. ``freedom`` is the number of windows apart that would know as much.
    """

    usual: float
    freedom: float
    largest: float


def _possible(rows: int, wanted: Sequence[int]) -> list[int]:
    return [size for size in wanted if rows >= _FEWEST_WINDOWS * size]


def _filled(found: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    return np.append(found, np.full(len(wanted) - len(found), found[-1] if len(found) else 1.0))


def _settled(looks: Sequence[_Look], of_sizes: Sequence[int]) -> np.ndarray:
    """Return the taus that the looks at windows of growing sizes give together.

    There are few large windows. What smaller ones show holds for them, unless they differ clearly;
    what much smaller ones show, if they are still long beside the memory of the series, unless
    they differ at all. A tau within the noise of 1 is 1. From any other an error of its estimate
    would bring false alarms: it is raised as Student's distribution is wider than the normal one.
    """
    settled = []
    for place, look in enumerate(looks):
        tau, freedom, largest = look
        near = _together(looks[: place + 1], of_sizes, of_sizes[place] / _NEAR)
        if abs(tau - near.usual) <= _PATIENCE * near.usual * _noise(freedom):
            tau, freedom, _ = near
        least = max(of_sizes[place] / _FAR, _LONG * tau)
        far = _together(looks[: place + 1], of_sizes, min(least, of_sizes[place]))
        if far.freedom > freedom and abs(tau - far.usual) <= far.usual * _noise(freedom):
            tau, freedom, _ = far
        tau = tau * _margin(freedom) if tau > 1 + _PATIENCE * _noise(freedom) else 1.0
        settled.append(max(1.0, tau, largest))
    return np.array(settled)


def _together(looks: Sequence[_Look], of_sizes: Sequence[int], least: float) -> _Look:
    """Return the mean of the looks at windows of ``least`` rows and more."""
    near = [look for look, size in zip(looks, of_sizes, strict=False) if size >= least]
    weights = [look.freedom for look in near]
    usual = float(np.average([look.usual for look in near], weights=weights))
    return _Look(usual, float(np.mean(weights)), 0.0)


def _noise(freedom: float) -> float:
    """Return the relative error of a variance known from so many windows."""
    return float(np.sqrt(2 / freedom))


def _margin(freedom: float) -> float:
    """Return by how much a variance known from ``freedom`` windows is raised.

    >>> [round(_margin(windows), 2) for windows in (8, 30, 1_000)]
    [2.6, 1.26, 1.01]
    """
    wide = special.stdtrit(freedom, 1 - _RARE / 2)
    return float((wide / special.ndtri(1 - _RARE / 2)) ** 2)


def _starts(rows: int, size: int) -> np.ndarray:
    """Return where windows begin that overlap by three quarters."""
    count = min(_MOST_WINDOWS, 1 + int(_OVERLAP * (rows - size) / size))
    return np.linspace(0, rows - size, count).astype(int)


def _freedom(rows: int, size: int, count: int) -> float:
    """Return how many windows apart know as much: half as many again as there is room for."""
    return min(float(count), _WORTH * rows / size)


def _look(codes: np.ndarray, total: np.ndarray, statistic: Statistic, size: int) -> _Look:
    rows = len(codes)
    starts = _starts(rows, size)
    windows = np.stack(
        [np.bincount(codes[start : start + size], minlength=len(total)) for start in starts]
    )
    usual, largest = _LOOKS[statistic](windows, total)
    return _Look(usual, _freedom(rows, size, len(starts)), largest)


def _look_of_means(sums: np.ndarray, size: int) -> _Look:
    rows = len(sums) - 1
    starts = _starts(rows, size)
    means = (sums[starts + size] - sums[starts]) / size
    squares = means**2 * size * rows / (rows - size)
    rare = float(special.chdtri(1, _rare(len(starts))))
    freedom = _freedom(rows, size, len(starts))
    return _Look(float(squares.mean()), freedom, float(squares.max()) / rare)


def _ks(windows: np.ndarray, total: np.ndarray) -> tuple[float, float]:
    """Look at the distribution functions.

    Far out, the largest gap behaves as the gap where it varies most: 4 u (1 - u) tau(u).
    """
    size, rows = int(windows[0].sum()), int(total.sum())
    gaps = np.cumsum(windows, axis=1) / size - np.cumsum(total) / rows
    squares = gaps**2 * size * rows / (rows - size)  # to the other rows, not to all of them
    rare = float(special.kolmogi(_rare(len(windows))))
    return (4 * float(squares.mean(axis=0).max()), float(squares.max()) / rare**2)


def _chi2(windows: np.ndarray, total: np.ndarray) -> tuple[float, float]:
    """Look at Pearson's statistic, whose mean is its degrees of freedom (Rao and Scott 1981)."""
    size, rows = int(windows[0].sum()), int(total.sum())
    seen = total > 0
    freedom = int(seen.sum()) - 1
    if not freedom:
        return (1.0, 1.0)
    expected = total[seen] * size / rows
    squares = ((windows[:, seen] - expected) ** 2 / expected).sum(axis=1) * rows / (rows - size)
    rare = float(special.chdtri(freedom, _rare(len(windows))))
    return (float(squares.mean()) / freedom, float(squares.max()) / rare)


def _rare(count: int) -> float:
    """Return the probability that the largest of ``count`` exceeds in one of twenty cases."""
    return float(1 - 0.95 ** (1 / count))


_LOOKS: Final = {"ks": _ks, "chi2": _chi2}
