"""How well a column alone predicts the target, by what its values go with in half of the rows."""

from typing import Final

import numpy as np

from mlkit.steps.inputs.columns import Task

_BINS: Final = 32


def skill(values: np.ndarray, target: np.ndarray, task: Task, *, coded: bool = False) -> float:
    """Return the share of the target's uncertainty that a column takes away, 0 for none, 1 for all.

    Half of the rows teach, the other half judge: R² for a regression, the share of the constant's
    log loss that is saved for a classification (McFadden's R²). ``coded`` values stand for
    themselves; others are binned, and a number is read off the line through the bins' means, or off
    a straight one if that does better.

    >>> x = np.arange(400.0)
    >>> round(skill(x, 3 * x, "regression"), 2), round(skill(x, x >= 200, "classification"), 1)
    (1.0, 0.9)
    """
    taught = np.random.default_rng(0).random(len(values)) < 0.5
    bins, count = _bins(values, coded=coded)
    if task == "regression":
        line = None if coded else values
        return _explained(bins, count, target.astype(float), taught, line)
    return _saved(bins, count, target.astype(int), taught)


def _bins(values: np.ndarray, *, coded: bool) -> tuple[np.ndarray, int]:
    """Return the bin of each row, the last one for missing values, and how many there are."""
    known = values[~np.isnan(values)]
    edges = np.unique(known)
    if not coded and len(edges) > _BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    places = np.searchsorted(edges, values, side="right")
    places[np.isnan(values)] = len(edges) + 1
    return places, len(edges) + 2


def _explained(
    bins: np.ndarray, count: int, target: np.ndarray, taught: np.ndarray, line: np.ndarray | None
) -> float:
    mean = target[taught].mean()
    sizes = np.bincount(bins[taught], minlength=count)
    sums = np.bincount(bins[taught], weights=target[taught] - mean, minlength=count)
    expected = (mean + sums / (sizes + 1))[bins[~taught]]
    guesses = [expected]
    if line is not None:
        guesses.append(_on_the_line(bins, count, target, taught, line, expected))
        guesses.append(_straight(target, taught, line, mean))
    spread = ((target[~taught] - mean) ** 2).sum()
    left = min(((target[~taught] - guess) ** 2).sum() for guess in guesses)
    return max(0.0, 1 - float(left / spread)) if spread > 0 else 0.0


def _straight(
    target: np.ndarray, taught: np.ndarray, values: np.ndarray, mean: float
) -> np.ndarray:
    """Return what the least-squares line says of the rows that have a value."""
    known = taught & ~np.isnan(values)
    judged = values[~taught]
    if known.sum() < 2 or np.ptp(values[known]) == 0:
        return np.full(len(judged), mean)
    centre = values[known].mean()
    apart = values[known] - centre
    slope = (apart @ target[known]) / (apart @ apart)
    return np.where(np.isnan(judged), mean, target[known].mean() + slope * (judged - centre))


def _on_the_line(
    bins: np.ndarray,
    count: int,
    target: np.ndarray,
    taught: np.ndarray,
    values: np.ndarray,
    otherwise: np.ndarray,
) -> np.ndarray:
    """Return what the line through the means of the bins says of the rows that have a value."""
    known = taught & ~np.isnan(values)
    sizes = np.bincount(bins[known], minlength=count)
    full = sizes > 0
    if not full.any():
        return otherwise
    x, y = (
        np.bincount(bins[known], weights=part[known], minlength=count)[full] / sizes[full]
        for part in (values, target)
    )
    judged = values[~taught]
    return np.where(np.isnan(judged), otherwise, np.interp(judged, x, y))


def _saved(bins: np.ndarray, count: int, target: np.ndarray, taught: np.ndarray) -> float:
    classes = int(target.max()) + 1
    prior = (np.bincount(target[taught], minlength=classes) + 0.5) / (taught.sum() + 0.5 * classes)
    table = np.zeros((count, classes))
    np.add.at(table, (bins[taught], target[taught]), 1)
    shares = (table + prior) / (table.sum(axis=1, keepdims=True) + 1)
    judged = target[~taught]
    plain = -np.log(prior[judged]).sum()
    told = -np.log(shares[bins[~taught], judged]).sum()
    return max(0.0, 1 - float(told / plain)) if plain > 0 else 0.0
