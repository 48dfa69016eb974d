"""Predictions: values and probabilities, and the comparison of two sets of them."""

from typing import NamedTuple

import numpy as np

Label = str | int | float | bool

_TOLERANCE = 1e-6


class Predictions(NamedTuple):
    """A value per row, and for classification the probability of each class."""

    values: list[Label]
    probabilities: np.ndarray | None


def agree(first: Predictions, second: Predictions) -> bool:
    """Tell whether two sets of predictions have equal labels, and numbers within 1e-6."""
    if (first.probabilities is None) != (second.probabilities is None):
        return False
    if first.probabilities is not None and second.probabilities is not None:
        pair = first.probabilities, second.probabilities
        close = np.allclose(*pair, rtol=0, atol=_TOLERANCE, equal_nan=True)
        return bool(close) and first.values == second.values
    if first.values == second.values:
        return True
    if not all(type(value) is float for value in first.values):
        return False
    return bool(
        np.allclose(
            np.array(first.values, dtype=float),
            np.array(second.values, dtype=float),
            rtol=_TOLERANCE,
            atol=_TOLERANCE,
            equal_nan=True,
        )
    )


def difference(first: Predictions, second: Predictions) -> float:
    """Return the largest difference between the numbers of two sets; 0 without numbers."""
    if first.probabilities is not None and second.probabilities is not None:
        return _largest(first.probabilities, second.probabilities)
    if not all(type(value) is float for value in first.values):
        return 0.0
    return _largest(np.array(first.values, dtype=float), np.array(second.values, dtype=float))


def _largest(first: np.ndarray, second: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(np.abs(first - second), initial=0.0))
