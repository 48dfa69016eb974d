"""Fit an estimator and answer with it, its library's complaints turned into named warnings."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from mlkit.errors import InvalidInputError, MlkitError, asks_to_end, told
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.performance import metrics
from mlkit.steps.predictors.predictor import Predictor
from mlkit.steps.training import contiguous
from mlkit.steps.training.split import Split

Make = Callable[[], Any]


class EncodedRows(NamedTuple):
    """Encoded rows: the matrix, the numbers that are learned, and the values they stand for.

    ``weights`` says how much each row teaches; None if all teach the same.
    """

    matrix: np.ndarray
    target: np.ndarray
    actuals: list[object]
    weights: np.ndarray | None = None

    def pick(self, indexes: np.ndarray) -> "EncodedRows":
        """Return the rows at ``indexes``."""
        chosen = [self.actuals[index] for index in indexes.tolist()]
        weights = None if self.weights is None else self.weights[indexes]
        return EncodedRows(self.matrix[indexes], self.target[indexes], chosen, weights)


def fit(
    name: str,
    make: Make,
    rows: EncodedRows,
    complaints: list[str],
    schema: InputSchema | None = None,
) -> Any:
    """Return the estimator of ``make`` fitted on ``rows``; raises InvalidInputError if it fails.

    ``schema`` is that of the target's classes, None where there is none to name.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator = _fit(name, make, rows, schema)
    except MlkitError:
        raise
    except BaseException as error:  # a user's own estimator may do anything
        if asks_to_end(error):
            raise
        raise InvalidInputError(
            f"the estimator '{name}' failed to fit: {told(error)}{_missing(schema, rows)}"
        ) from error
    for item in caught:
        first = str(item.message).partition("\n")[0]
        text = f"fit_warning: {name}: {item.category.__name__}: {first}"
        if text not in complaints:
            complaints.append(text)
    return estimator


def _fit(name: str, make: Make, rows: EncodedRows, schema: InputSchema | None) -> Any:
    """Return the fitted estimator, on labels without gaps if it takes no others."""
    estimator = make()
    weights = _fit_weights(name, estimator, rows)
    matrix = _without_empty(rows.matrix)
    gaps = schema is not None and bool(schema.classes) and contiguous.gaps(rows.target)
    try:
        estimator.fit(matrix, rows.target, **weights)
    except Exception:  # whatever it raises may be about the gap; if not, it is raised again
        if not gaps:
            raise
        again = contiguous.ContiguousLabels(make())
        with suppress(Exception):
            return again.fit(matrix, rows.target, **weights)
        raise
    if not hasattr(estimator, "predict"):
        raise InvalidInputError(f"the estimator '{name}' has no predict after its fit")
    return estimator


def _missing(schema: InputSchema | None, rows: EncodedRows) -> str:
    """Name the classes that the rows to learn from have none of."""
    classes = schema.classes if schema else ()
    known = {int(code) for code in np.unique(rows.target)} if classes else set()
    absent = [f"'{label}'" for code, label in enumerate(classes) if code not in known]
    if not absent:
        return ""
    return (
        f"; the rows that it is fitted on have no {', '.join(absent)}, which only the newest rows "
        "have: add older rows that have it, or leave its rows out until there are more"
    )


def fold_losses(
    name: str, make: Make, schema: InputSchema, rows: EncodedRows, splits: Sequence[Split]
) -> np.ndarray:
    """Return the loss of each row that some fold judges, in the order of the folds."""
    found = []
    for split in splits:
        estimator = fit(name, make, rows.pick(split.train), [], schema)
        judged = rows.pick(split.holdout)
        answers = Predictor(schema, estimator).predict(judged.matrix)
        metric = metrics.primary(answers, task=schema.task)
        found.append(metrics.losses(metric, answers, judged.actuals, schema.classes))
    return np.concatenate(found)


def _fit_weights(name: str, estimator: Any, rows: EncodedRows) -> dict[str, np.ndarray]:
    """Return the weights as the argument of ``fit`` that takes them; raises InvalidInputError."""
    if rows.weights is None:
        return {}
    steps = getattr(estimator, "steps", None)
    learner = estimator if steps is None else steps[-1][1]
    if not has_fit_parameter(learner, "sample_weight"):
        raise InvalidInputError(
            f"the estimator '{name}' takes no weights of rows; train it without a half-life"
        )
    return {"sample_weight" if steps is None else f"{steps[-1][0]}__sample_weight": rows.weights}


def _without_empty(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with zeros for the columns that have no value at all.

    A constant teaches as little, and boosted trees fail to bin a column without values.
    """
    empty = np.isnan(matrix).all(axis=0)
    return np.where(empty, 0.0, matrix) if empty.any() else matrix
