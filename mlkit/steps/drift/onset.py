"""Change point detection: when a series of values suddenly changed its mean, if it did."""

from typing import Final, NamedTuple

import numpy as np

from mlkit.steps.drift import correlation

_SURE: Final = 4.5  # standard errors: chance exceeds them, over all splits, in 1 of 1,000 series
_NEAR: Final = 20  # rows on each side of the change point, at least
_SUDDEN: Final = 0.6  # share of the whole change that happens within these rows


class ChangePoint(NamedTuple):
    """A place in a series, the means before and after it, their difference in standard errors."""

    place: int
    before: float
    after: float
    score: float


def split(values: np.ndarray, *, edge: int = 1) -> ChangePoint | None:
    """Return the place that splits ``values`` with the largest standardised difference of means.

    That is the maximum over k of |S_k| sqrt(n / (k (n - k))) for the cumulative sums S_k of the
    centred values (CUSUM; Page 1954, Biometrika 41). The score assumes independent values; each
    part has at least ``edge`` of them. None if the values are constant or too few.

    >>> split(np.array([0, 0, 0, 1, 1, 1.0])).place
    3
    """
    rows = len(values)
    spread = float(values.std()) if rows else 0.0
    if rows < 2 * edge or rows < 2 or not spread:
        return None
    counts = np.arange(edge, rows - edge + 1 if edge > 0 else rows)
    sums = np.cumsum(values - values.mean())[counts - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.abs(sums) * np.sqrt(rows / (counts * (rows - counts)))
    scores[~np.isfinite(scores)] = 0.0
    best = int(np.argmax(scores))
    place = int(counts[best])
    before, after = float(values[:place].mean()), float(values[place:].mean())
    rest = np.r_[values[:place] - before, values[place:] - after]
    within = max(float(rest.std()), 1 / rows)  # after a clean step the rest is 0
    return ChangePoint(place, before, after, float(scores[best]) / max(within, 0.25 * spread))


def without_step(values: np.ndarray) -> np.ndarray:
    """Return ``values`` without their largest step, which is no autocorrelation.

    >>> without_step(np.array([0, 0, 5, 5.0])).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    found = split(values)
    if found is None:
        return values
    levels = np.r_[
        np.full(found.place, found.before), np.full(len(values) - found.place, found.after)
    ]
    rest: np.ndarray = values - levels
    return rest


def find_change_point(values: np.ndarray) -> ChangePoint | None:
    """Return the change point of ``values``, which are in time order; None if there is none.

    The change must be significant, with autocorrelation allowed for; most of it must happen within
    a few rows; and the last rows must still show it.

    >>> quiet, loud = np.tile([0.0, 1.0, 0.0, 0.0], 50), np.ones(100)
    >>> find_change_point(np.r_[quiet, loud]).place
    200
    >>> find_change_point(quiet) is None
    True
    """
    near = max(_NEAR, len(values) // 20)
    found = split(values, edge=near)
    if found is None:
        return None
    change = found.after - found.before
    here = values[found.place : found.place + near].mean()
    jump = here - values[found.place - near : found.place].mean()
    still = values[-near:].mean() - found.before
    tau = correlation.time([without_step(values)])
    sure = found.score / np.sqrt(tau) >= _SURE
    return found if sure and min(jump / change, still / change) >= _SUDDEN else None
