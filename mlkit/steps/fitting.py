"""Fit an estimator and answer with it, its library's complaints turned into named warnings."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.steps import metrics
from mlkit.steps.columns import InputSchema
from mlkit.steps.predictor import Predictor
from mlkit.steps.split import Split

Make = Callable[[], Any]


class Rows(NamedTuple):
    """Encoded rows: the matrix, the numbers that are learned, and the values they stand for."""

    matrix: np.ndarray
    target: np.ndarray
    actuals: list[object]

    def pick(self, indexes: np.ndarray) -> "Rows":
        """Return the rows at ``indexes``."""
        chosen = [self.actuals[index] for index in indexes.tolist()]
        return Rows(self.matrix[indexes], self.target[indexes], chosen)


def fit(name: str, make: Make, rows: Rows, complaints: list[str]) -> Any:
    """Return the estimator of ``make`` fitted on ``rows``; raises InvalidInputError if it fails."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator = make()
            estimator.fit(_without_empty(rows.matrix), rows.target)
    except MlkitError:
        raise
    except Exception as error:
        # a user's own estimator may raise anything
        raise InvalidInputError(f"the estimator '{name}' failed to fit: {error!r}") from error
    for item in caught:
        text = f"fit_warning: {name}: {item.category.__name__}: {str(item.message).splitlines()[0]}"
        if text not in complaints:
            complaints.append(text)
    return estimator


def fold_losses(
    name: str, make: Make, schema: InputSchema, rows: Rows, splits: Sequence[Split]
) -> np.ndarray:
    """Return the loss of each row that some fold judges, in the order of the folds."""
    found = []
    for split in splits:
        estimator = fit(name, make, rows.pick(split.train), [])
        judged = rows.pick(split.holdout)
        answers = Predictor(schema, estimator).predict(judged.matrix)
        metric = metrics.primary(answers, task=schema.task)
        found.append(metrics.losses(metric, answers, judged.actuals, schema.classes))
    return np.concatenate(found)


def _without_empty(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with zeros for the columns that have no value at all.

    A constant teaches as little, and boosted trees fail to bin a column without values.
    """
    empty = np.isnan(matrix).all(axis=0)
    return np.where(empty, 0.0, matrix) if empty.any() else matrix
