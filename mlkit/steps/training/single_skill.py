"""How well one column alone predicts the target, out of sample."""

from typing import Final

import numpy as np

from mlkit.steps.inputs.columns import Task

_BINS: Final = 32


def skill(values: np.ndarray, target: np.ndarray, task: Task, *, coded: bool = False) -> float:
    """Return the share of the target's uncertainty that a column explains, from 0 to 1.

    A random half of the rows is fitted, the other half scored: by R² for a regression, by
    McFadden's R² (1 - log loss / log loss of the class shares) for a classification. ``coded``
    values are categories. Others are binned; a regression then uses the best of the bins' means, a
    line through these, and a straight line.

    >>> x = np.arange(400.0)
    >>> round(skill(x, 3 * x, "regression"), 2), round(skill(x, x >= 200, "classification"), 1)
    (1.0, 0.9)
    """
    fitted = np.random.default_rng(0).random(len(values)) < 0.5
    bins, count = _bins(values, coded=coded)
    if task == "regression":
        line = None if coded else values
        return _explained(bins, count, target.astype(float), fitted, line)
    return _saved(bins, count, target.astype(int), fitted)


def _bins(values: np.ndarray, *, coded: bool) -> tuple[np.ndarray, int]:
    """Return the bin of each row, the last one for missing values, and the number of bins."""
    known = values[~np.isnan(values)]
    edges = np.unique(known)
    if not coded and len(edges) > _BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    places = np.searchsorted(edges, values, side="right")
    places[np.isnan(values)] = len(edges) + 1
    return places, len(edges) + 2


def _explained(
    bins: np.ndarray, count: int, target: np.ndarray, fitted: np.ndarray, line: np.ndarray | None
) -> float:
    mean = target[fitted].mean()
    sizes = np.bincount(bins[fitted], minlength=count)
    sums = np.bincount(bins[fitted], weights=target[fitted] - mean, minlength=count)
    expected = (mean + sums / (sizes + 1))[bins[~fitted]]
    guesses = [expected]
    if line is not None:
        guesses.append(_interpolated(bins, count, target, fitted, line, expected))
        guesses.append(_straight(target, fitted, line, mean))
    spread = ((target[~fitted] - mean) ** 2).sum()
    left = min(((target[~fitted] - guess) ** 2).sum() for guess in guesses)
    return max(0.0, 1 - float(left / spread)) if spread > 0 else 0.0


def _straight(
    target: np.ndarray, fitted: np.ndarray, values: np.ndarray, mean: float
) -> np.ndarray:
    """Return the predictions of the least-squares line, the mean for missing values."""
    known = fitted & ~np.isnan(values)
    judged = values[~fitted]
    if known.sum() < 2 or np.ptp(values[known]) == 0:
        return np.full(len(judged), mean)
    centre = values[known].mean()
    apart = values[known] - centre
    slope = (apart @ target[known]) / (apart @ apart)
    return np.where(np.isnan(judged), mean, target[known].mean() + slope * (judged - centre))


def _interpolated(
    bins: np.ndarray,
    count: int,
    target: np.ndarray,
    fitted: np.ndarray,
    values: np.ndarray,
    otherwise: np.ndarray,
) -> np.ndarray:
    """Return predictions interpolated between the means of the bins; ``otherwise`` if missing."""
    known = fitted & ~np.isnan(values)
    sizes = np.bincount(bins[known], minlength=count)
    full = sizes > 0
    if not full.any():
        return otherwise
    x, y = (
        np.bincount(bins[known], weights=part[known], minlength=count)[full] / sizes[full]
        for part in (values, target)
    )
    judged = values[~fitted]
    return np.where(np.isnan(judged), otherwise, np.interp(judged, x, y))


def _saved(bins: np.ndarray, count: int, target: np.ndarray, fitted: np.ndarray) -> float:
    classes = int(target.max()) + 1
    prior = (np.bincount(target[fitted], minlength=classes) + 0.5) / (fitted.sum() + 0.5 * classes)
    table = np.zeros((count, classes))
    np.add.at(table, (bins[fitted], target[fitted]), 1)
    shares = (table + prior) / (table.sum(axis=1, keepdims=True) + 1)
    judged = target[~fitted]
    plain = -np.log(prior[judged]).sum()
    told = -np.log(shares[bins[~fitted], judged]).sum()
    return max(0.0, 1 - float(told / plain)) if plain > 0 else 0.0
