"""Expand the encoded matrix to the plain numbers that linear models need.

All operations are elementwise, so the result of a row never depends on other rows.
"""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

MAX_WIDTH: Final = 2_000  # one-hot columns in total
MAX_CODES: Final = 50


class Expand(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Impute, standardise and one-hot encode.

    A number becomes ``(x - mean) / standard deviation``, with the median for missing values, plus a
    missing indicator if any were missing. A category becomes one 0/1 column for each of its most
    frequent codes. A column with zero or infinite standard deviation becomes zeros.
    """

    def __init__(self, categorical: Sequence[int] = ()) -> None:
        self.categorical = categorical

    def fit(self, X: np.ndarray, y: object = None) -> Self:  # noqa: ARG002, N803  # scikit-learn's
        """Learn medians, means, deviations and codes."""
        coded = set(self.categorical)
        self.numeric_ = np.array([i for i in range(X.shape[1]) if i not in coded], dtype=int)
        values = X[:, self.numeric_]
        missing = np.isnan(values)
        self.fill_ = _medians(values, missing)
        filled = np.where(missing, self.fill_, values)
        with np.errstate(over="ignore", invalid="ignore"):
            self.center_ = filled.mean(axis=0)
            deviation = filled.std(axis=0)
        usable = np.isfinite(self.center_) & np.isfinite(deviation)
        self.center_ = np.where(usable, self.center_, 0.0)
        flat = deviation <= 1e-12 * np.abs(self.center_)
        self.weight_ = np.where(usable & ~flat, 1.0 / np.where(deviation > 0, deviation, 1.0), 0.0)
        self.flagged_ = np.flatnonzero(missing.any(axis=0))
        self.codes_ = _frequent_codes(X, self.categorical)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Return the expanded rows."""
        return self.columns(X).T

    def columns(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Return the transposed expanded matrix, of shape (columns, rows)."""
        values = X[:, self.numeric_]
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            scaled = (np.where(missing, self.fill_, values) - self.center_) * self.weight_
        flags = missing[:, self.flagged_]
        hits = [X[:, index] == codes[:, None] for index, codes in self.codes_]
        return np.ascontiguousarray(np.vstack([scaled.T, flags.T, *hits]), dtype=float)


def _medians(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    result = np.zeros(values.shape[1])
    for index in range(values.shape[1]):
        present = values[~missing[:, index], index]
        if len(present):
            result[index] = np.quantile(present, 0.5, method="lower")
    return result


def _frequent_codes(matrix: np.ndarray, categorical: Sequence[int]) -> list[tuple[int, np.ndarray]]:
    most = min(MAX_CODES, max(2, MAX_WIDTH // max(1, len(categorical))))
    found = []
    for index in categorical:
        codes, counts = np.unique(matrix[:, index], return_counts=True)
        known = ~np.isnan(codes)
        order = np.argsort(-counts[known], kind="stable")[:most]
        found.append((int(index), np.sort(codes[known][order])))
    return found
