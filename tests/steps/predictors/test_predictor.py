import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.predictors import artifacts, predictor
from mlkit.steps.training import estimators
from mlkit.steps.training.estimators import Recipe

ROWS = 240


def make_rows(classes: int) -> Any:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(ROWS, 12))
    matrix[:, 3] = rng.integers(0, 4, ROWS)
    matrix[rng.random((ROWS, 12)) < 0.05] = np.nan
    score = np.nansum(matrix[:, :3], axis=1) + (matrix[:, 3] == 2) + rng.normal(size=ROWS) * 0.3
    target = score if classes == 0 else np.digitize(score, np.linspace(-1, 1, classes - 1))
    return matrix, target


def make_schema(classes: int) -> Any:
    columns = [Column(name=f"c{i}", kind="number", nullable=True) for i in range(12)]
    columns[3] = Column(name="c3", kind="category", nullable=True, categories=("a", "b", "c", "d"))
    task = "classification" if classes else "regression"
    return InputSchema(
        columns=tuple(columns), target="y", task=task, classes=tuple(range(10, 10 + classes))
    )


@functools.cache
def made(name: str, classes: int) -> Any:
    matrix, target = make_rows(classes)
    schema = make_schema(classes)
    recipe = Recipe(schema, 0)
    own = {
        "knn": lambda: estimators.expanded(recipe, KNeighborsClassifier()),
        "mlp": lambda: estimators.expanded(recipe, MLPClassifier((5,), max_iter=20, tol=1e3)),
    }
    few = {"max_iter": 20} if name == "boosting" else {}  # nine classes are nine trees each time
    estimator = own[name]() if name in own else estimators.build(name, recipe, few)
    return predictor.build(schema, estimator.fit(matrix, target), matrix), matrix


def bits(answers: Any) -> Any:
    values = np.asarray(answers.values).tobytes()
    return values, None if answers.probabilities is None else answers.probabilities.tobytes()


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("dummy", 0),
        ("dummy", 2),
        ("linear", 0),
        ("linear", 2),
        ("linear", 9),
        ("boosting", 0),
        ("boosting", 2),
        ("boosting", 9),
        ("knn", 2),
        ("mlp", 9),
    ],
)
@settings(max_examples=15, deadline=None)
@given(picks=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=30))
def test_a_row_is_answered_the_same_alone_and_among_others(
    name: str, classes: int, picks: list[int]
) -> None:
    found, matrix = made(name, classes)
    together = found.predict(matrix[picks])
    alone = [found.predict(matrix[pick : pick + 1]) for pick in picks]
    joined = predictor.Predictions(
        [answer.values[0] for answer in alone],
        None
        if together.probabilities is None
        else np.vstack([answer.probabilities for answer in alone]),
    )
    assert bits(together) == bits(joined)


@pytest.mark.parametrize("classes", [0, 2, 9])
def test_a_linear_model_is_served_from_its_arrays_as_scikit_learn_would(classes: int) -> None:
    found, matrix = made("linear", classes)
    assert found.way == "compiled"
    answers = found.predict(matrix)
    if classes:
        truth = found.estimator.predict_proba(matrix)
        np.testing.assert_allclose(answers.probabilities, truth, rtol=0, atol=1e-12)
        assert answers.values == [code + 10 for code in found.estimator.predict(matrix)]
    else:
        np.testing.assert_allclose(answers.values, found.estimator.predict(matrix), rtol=1e-12)


def test_an_artifact_answers_like_what_was_saved() -> None:
    found, matrix = made("boosting", 2)
    loaded = artifacts.loads(artifacts.dumps(found))
    assert bits(loaded.predict(matrix)) == bits(found.predict(matrix))
    assert (loaded.schema, loaded.way) == (found.schema, found.way)


def test_a_loaded_estimator_uses_one_thread() -> None:
    matrix, target = make_rows(0)
    forest = RandomForestRegressor(n_estimators=5, n_jobs=2).fit(matrix, target)
    made_by_hand = predictor.Predictor(make_schema(0), forest)
    assert artifacts.loads(artifacts.dumps(made_by_hand)).estimator.n_jobs == 1


def test_an_estimator_with_its_own_threshold_keeps_it() -> None:
    matrix, target = make_rows(2)
    recipe = Recipe(make_schema(2), 0)
    strict = FixedThresholdClassifier(
        estimators.build("linear", recipe), threshold=0.9, response_method="predict_proba"
    ).fit(matrix, target)
    found = predictor.build(make_schema(2), strict, matrix)
    assert found.own_labels
    assert found.predict(matrix).values == [code + 10 for code in strict.predict(matrix)]


def test_a_classifier_without_probabilities_gives_labels_only() -> None:
    matrix, target = make_rows(9)
    recipe = Recipe(make_schema(9), 0)
    ridge = estimators.expanded(recipe, RidgeClassifier()).fit(matrix, target)
    answers = predictor.build(make_schema(9), ridge, matrix).predict(matrix)
    assert answers.probabilities is None
    assert answers.values == [code + 10 for code in ridge.predict(matrix)]


def test_a_class_missing_from_training_has_probability_zero() -> None:
    matrix, target = make_rows(2)
    schema = make_schema(3)
    estimator = estimators.build("linear", Recipe(schema, 0)).fit(matrix, target * 2)
    answers = predictor.build(schema, estimator, matrix).predict(matrix)
    assert answers.probabilities.shape == (ROWS, 3)
    assert (answers.probabilities[:, 1] == 0).all()
    assert set(answers.values) == {10, 12}


class Crowd(ClassifierMixin, BaseEstimator):
    """Looks at the whole batch, as no estimator should."""

    def fit(self, rows: Any, target: Any) -> Any:
        self.classes_ = np.unique(target)
        self.n_features_in_ = rows.shape[1]
        return self

    def predict_proba(self, rows: Any) -> Any:
        share = np.full(len(rows), 1 / (1 + len(rows)))
        return np.column_stack([share, 1 - share])

    def predict(self, rows: Any) -> Any:
        return np.ones(len(rows), dtype=int)


def test_an_estimator_that_minds_the_batch_is_asked_row_by_row() -> None:
    matrix, target = make_rows(2)
    found = predictor.build(make_schema(2), Crowd().fit(matrix, target), matrix)
    assert found.way == "rows"
    assert (found.predict(matrix[:5]).probabilities == 0.5).all()
    assert found.predict(matrix[:0]).values == []


def test_golden_rows_notice_another_answer() -> None:
    found, _ = made("linear", 2)
    columns = [[0.5, None] for _ in range(12)]
    columns[3] = ["a", "zzz"]
    golden = artifacts.golden_rows(found, columns)
    assert artifacts.reproduces(found, golden)
    golden["probabilities"][0][0] += 1e-4
    assert not artifacts.reproduces(found, golden)
