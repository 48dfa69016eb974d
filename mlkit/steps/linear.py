"""Linear models from their fitted arrays: quick for one row, and the same bits in any batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import Pipeline

from mlkit.steps.expand import Expand


@dataclass(frozen=True)
class Linear:
    """``intercept + coefficients . expanded row``, and its classes' probabilities."""

    expand: Expand
    coefficients: np.ndarray
    intercepts: np.ndarray
    probable: bool

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of shape (rows,), or probabilities of shape (rows, classes)."""
        columns = self.expand.columns(matrix)
        scores: list[np.ndarray] = [
            _sum_in_order(columns * weights[:, None]) + intercept
            for weights, intercept in zip(self.coefficients, self.intercepts, strict=True)
        ]
        if not self.probable:
            return scores[0]
        if len(scores) == 1:
            positive = expit(scores[0])
            return np.column_stack([1.0 - positive, positive])
        return _softmax(scores)


def extract(estimator: Any) -> Linear | None:
    """Return the fitted arrays of ``Expand`` and a linear model, or None for anything else."""
    if not isinstance(estimator, Pipeline) or len(estimator) != 2:
        return None
    expand, model = estimator[0], estimator[1]
    if type(expand) is not Expand:
        return None
    if type(model) not in (LinearRegression, LogisticRegression, Ridge, RidgeCV):
        return None
    return Linear(
        expand=expand,
        coefficients=np.atleast_2d(model.coef_),
        intercepts=np.atleast_1d(model.intercept_),
        probable=isinstance(model, LogisticRegression),
    )


def _sum_in_order(terms: np.ndarray) -> np.ndarray:
    """Return the sums over axis 0, added strictly one after the other.

    ``np.add.reduce`` and BLAS choose the order by the shape; ``accumulate`` may not.
    """
    if not len(terms):
        return np.zeros(terms.shape[1])
    sums: np.ndarray = np.add.accumulate(terms, axis=0)[-1]
    return sums


def _softmax(scores: list[np.ndarray]) -> np.ndarray:
    top = scores[0]
    for score in scores[1:]:
        top = np.maximum(top, score)
    powers = np.vstack([np.exp(score - top) for score in scores])
    return np.ascontiguousarray((powers / _sum_in_order(powers)).T)
