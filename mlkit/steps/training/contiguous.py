"""Contiguous class codes for estimators that need them (XGBoost) when rows lack a class."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from mlkit.steps.inputs import answer_shapes


def gaps(codes: np.ndarray) -> bool:
    """Tell whether the codes are not 0, 1, … without gaps.

    >>> gaps(np.array([0, 2, 2])), gaps(np.array([1, 0]))
    (True, False)
    """
    present = np.unique(codes)
    return not np.array_equal(present, np.arange(len(present)))


class ContiguousLabels(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fit ``estimator`` on contiguous codes and predict the original labels."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, y: np.ndarray, **weights: np.ndarray) -> "ContiguousLabels":  # noqa: N803  # scikit-learn's names
        """Fit on the index of each label among the labels that occur."""
        self.present_, places = np.unique(y, return_inverse=True)
        self.estimator.fit(X, places, **weights)
        self.classes_ = self.present_[answer_shapes.classes_of(self.estimator, len(self.present_))]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return one of the labels given to ``fit`` for each row."""
        found = answer_shapes.ask(self.estimator, "predict", X)
        known = len(self.present_)
        labels: np.ndarray = self.present_[
            answer_shapes.labels(self.estimator, found, len(X), known)
        ]
        return labels

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]  # the same
    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return the probabilities in the order of ``classes_``."""
        found = answer_shapes.ask(self.estimator, "predict_proba", X)
        return answer_shapes.probabilities(self.estimator, found, len(X), len(self.classes_))
