"""Estimators that take only labels without gaps are fitted whatever class the rows lack."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.predictors import predictor
from mlkit.steps.training import fitting, split
from mlkit.steps.training.fitting import EncodedRows

SCHEMA = InputSchema(
    columns=(Column(name="x", kind="number"),),
    target="y",
    task="classification",
    classes=("a", "b", "c", "d"),
)
RNG = np.random.default_rng(0)


class Strict(ClassifierMixin, BaseEstimator):
    """As XGBoost: refuses labels with gaps."""

    def fit(self, x: Any, y: Any) -> Any:
        if not np.array_equal(np.unique(y), np.arange(len(np.unique(y)))):
            raise ValueError(f"Invalid classes inferred from unique values of `y`: {np.unique(y)}")
        self.inner_ = LogisticRegression().fit(x, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, x: Any) -> Any:
        return self.inner_.predict(x)

    def predict_proba(self, x: Any) -> Any:
        return self.inner_.predict_proba(x)


class Never(Strict):
    def fit(self, x: Any, y: Any) -> Any:
        raise ValueError(f"no {len(x) + len(y)}")


def rows(codes: list[int]) -> EncodedRows:
    target = np.repeat(codes, 40)
    matrix = target[:, None] + RNG.normal(scale=0.1, size=(len(target), 1))
    return EncodedRows(matrix, target, [SCHEMA.classes[code] for code in target.tolist()])


@pytest.mark.parametrize("codes", [[0, 1, 3], [1, 2, 3], [0, 1, 2], [0, 3]])
def test_a_class_that_no_row_to_learn_from_has_is_left_out_and_the_others_are_right(
    codes: list[int],
) -> None:
    given = rows(codes)
    fitted = fitting.fit("strict", Strict, given, [], SCHEMA)
    found = predictor.build(SCHEMA, fitted, given.matrix).predict(given.matrix)
    assert found.probabilities is not None
    assert found.values == given.actuals
    absent = sorted({0, 1, 2, 3} - set(codes))
    assert found.probabilities.shape == (len(given.matrix), 4)
    assert (found.probabilities[:, absent] == 0).all()


def test_folds_whose_rows_lack_a_class_are_judged() -> None:
    given = rows([0, 2, 3, 1])
    (fold,) = split.folds(160, ordered=True, strata=given.target)
    assert 1 not in given.target[fold.train]
    losses = fitting.fold_losses("strict", Strict, SCHEMA, given, [fold])
    assert np.isfinite(losses).all()


def test_ordered_rows_that_begin_with_one_class_are_dealt_at_random() -> None:
    given = rows([0, 0, 0, 1])
    for fold in split.folds(160, ordered=True, strata=given.target):
        assert set(given.target[fold.train]) == {0, 1}


def test_an_estimator_that_fails_all_the_same_is_told_of_with_the_missing_classes() -> None:
    with pytest.raises(InvalidInputError, match=r"'never' failed to fit: ValueError.*have no 'c'"):
        fitting.fit("never", Never, rows([0, 1, 3]), [], SCHEMA)
