"""Linear models from their fitted arrays: fast for one row, bit for bit equal in any batch."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression


class Linear:
    """``intercept + coefficients . row``, and class probabilities."""

    def __init__(self, fitted: Any) -> None:
        self._weights = [np.ascontiguousarray(row) for row in np.atleast_2d(fitted.coef_)]
        self._intercepts = np.broadcast_to(fitted.intercept_, len(self._weights)).tolist()
        self.size_bytes = sum(weights.nbytes for weights in self._weights)
        self._probable = isinstance(fitted, LogisticRegression)

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of shape (rows,), or probabilities of shape (rows, classes)."""
        scores: list[np.ndarray] = [
            _sum_in_order(matrix * weights) + intercept
            for weights, intercept in zip(self._weights, self._intercepts, strict=True)
        ]
        if not self._probable:
            return scores[0]
        if len(scores) > 1:
            return _softmax(scores)
        result = np.empty((len(matrix), 2))
        result[:, 1] = expit(scores[0])
        result[:, 0] = 1.0 - result[:, 1]
        return result


def _sum_in_order(terms: np.ndarray) -> np.ndarray:
    """Return the sum of each row, its terms added strictly in order.

    ``np.add.reduce`` and BLAS choose an order by the shape; ``accumulate`` has a fixed one.
    """
    if not terms.shape[1]:
        return np.zeros(len(terms))
    sums: np.ndarray = np.add.accumulate(terms, axis=1)[:, -1]
    return sums


def _softmax(scores: list[np.ndarray]) -> np.ndarray:
    top = scores[0]
    for score in scores[1:]:
        top = np.maximum(top, score)
    powers = np.column_stack([np.exp(score - top) for score in scores])
    return np.ascontiguousarray(powers / _sum_in_order(powers)[:, None])
