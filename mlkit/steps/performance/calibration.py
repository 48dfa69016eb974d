"""Calibration of probabilities by isotonic regression, kept as plain numbers.

Fitted once, on the holdout; applied by numpy alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
    """Predicted probabilities and the calibrated ones; linear in between."""

    said: np.ndarray
    true: np.ndarray


def fit(probabilities: np.ndarray, actual: np.ndarray) -> tuple[Curve, ...]:
    """Return a curve for each class; for two classes that of the second only.

    ``probabilities`` has shape (rows, classes), ``actual`` is the index of the actual class, -1 for
    a class that the model does not know.
    """
    from sklearn.isotonic import (
        IsotonicRegression,
    )  # a second to import, and only training needs it

    classes = range(probabilities.shape[1])
    found = []
    for place in classes[1:] if len(classes) == 2 else classes:
        curve = IsotonicRegression(out_of_bounds="clip")
        curve.fit(probabilities[:, place], (actual == place).astype(float))
        found.append(Curve(curve.X_thresholds_, curve.y_thresholds_))
    return tuple(found)


def apply(curves: Sequence[Curve], probabilities: np.ndarray) -> np.ndarray:
    """Return the calibrated ``probabilities``; each row adds up to 1.

    >>> curve = Curve(np.array([0.2, 0.8]), np.array([0.4, 0.6]))
    >>> apply([curve], np.array([[0.5, 0.5], [0.9, 0.1]])).tolist()
    [[0.5, 0.5], [0.6, 0.4]]
    """
    if len(curves) == 1:
        second = np.interp(probabilities[:, 1], *curves[0])
        return np.column_stack([1 - second, second])
    raw = np.column_stack(
        [np.interp(column, *curve) for column, curve in zip(probabilities.T, curves, strict=True)]
    )
    total = raw.sum(axis=1, keepdims=True)
    even = np.full_like(raw, 1 / raw.shape[1])
    result: np.ndarray = np.divide(raw, total, out=even, where=total > 0)
    return result
