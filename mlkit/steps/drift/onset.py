"""Since when? The moment at which a series of values suddenly changed its level, if it did."""

from typing import Final, NamedTuple

import numpy as np

from mlkit.steps.drift import correlation

_SURE: Final = 4.5  # standard errors: of the largest of all splits, by chance 1 in 1,000 series
_NEAR: Final = 20  # rows; beside the split, on each side, at least
_SUDDEN: Final = 0.6  # of the whole change happens within the rows near the split


class Split(NamedTuple):
    """Where two parts of a series differ most, their means, and by how many standard errors."""

    place: int
    before: float
    after: float
    score: float


def split(values: np.ndarray, *, edge: int = 1) -> Split | None:
    """Return the split of ``values`` with the largest difference of means, as CUSUM finds it.

    Independent values are assumed for the score; each part has at least ``edge`` of them. None if
    the values never change or are too few.

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
    within = max(float(rest.std()), 1 / rows)  # of a clean step nothing is left
    return Split(place, before, after, float(scores[best]) / max(within, 0.25 * spread))


def without_step(values: np.ndarray) -> np.ndarray:
    """Return ``values`` with their largest step taken out: it is no likeness of neighbours.

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


def sudden(values: np.ndarray) -> Split | None:
    """Return where the level of ``values``, in time order, suddenly changed and stayed so.

    The change has to be beyond chance, rows that resemble their neighbours considered; most of it
    has to happen within a few rows; and the last rows have to show it still.

    >>> quiet, loud = np.tile([0.0, 1.0, 0.0, 0.0], 50), np.ones(100)
    >>> sudden(np.r_[quiet, loud]).place
    200
    >>> sudden(quiet) is None
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
