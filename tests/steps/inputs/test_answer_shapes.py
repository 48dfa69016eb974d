"""Whatever shape an estimator answers in is brought into one form, or is an error that names it."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import answer_shapes
from mlkit.steps.inputs.answers import Predictions, agree
from mlkit.steps.inputs.columns import Column, InputSchema, Task
from mlkit.steps.predictors import predictor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 1))
CODES = (X[:, 0] > -0.5).astype(int) + (X[:, 0] > 0.5)
CLASSES = ("a", "b", "c")


def schema(task: Task) -> InputSchema:
    column = Column(name="x", kind="number")
    classes = CLASSES if task == "classification" else ()
    return InputSchema(columns=(column,), target="y", task=task, classes=classes)


class Answering(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are bent by ``label`` and ``probability``."""

    def __init__(self, label: Any = None, probability: Any = None, order: Any = None) -> None:
        self.label, self.probability, self.order = label, probability, order

    def fit(self, x: Any, y: Any) -> Any:
        self.inner_ = LogisticRegression().fit(x, y)
        self.classes_ = self.inner_.classes_ if self.order is None else self.order
        return self

    def predict(self, x: Any) -> Any:
        found = self.inner_.predict(x)
        return self.label(found) if self.label else found

    def predict_proba(self, x: Any) -> Any:
        found = self.inner_.predict_proba(x)
        return self.probability(found) if self.probability else found


class Numbers(RegressorMixin, BaseEstimator):
    def __init__(self, bend: Any) -> None:
        self.bend = bend

    def fit(self, x: Any, y: Any) -> Any:
        self.inner_ = Ridge().fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        return self.bend(self.inner_.predict(x))


def classify(estimator: Any, matrix: np.ndarray = X) -> Any:
    fitted = estimator.fit(X, CODES)
    return predictor.build(schema("classification"), fitted, X).predict(matrix)


PLAIN = classify(Answering())


@pytest.mark.parametrize(
    "estimator",
    [
        Answering(label=lambda found: found[:, None]),
        Answering(label=lambda found: found.astype(float)),
        Answering(label=np.squeeze),
        Answering(probability=lambda found: found[:, ::-1], order=[2, 1, 0]),
        Answering(probability=lambda found: found[:, [1, 2, 0]], order=np.array([1.0, 2.0, 0.0])),
        make_pipeline(Answering(probability=lambda found: found[:, ::-1], order=[2, 1, 0])),
        Answering(probability=lambda found: found.astype(np.float32)),
        Answering(probability=lambda found: found.astype(np.longdouble)),
        Answering(probability=csr_matrix),
    ],
)
def test_answers_that_say_the_same_are_the_same(estimator: Any) -> None:
    found = classify(estimator)
    assert found.values == PLAIN.values
    np.testing.assert_allclose(found.probabilities, PLAIN.probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (Answering(label=lambda found: np.eye(3)[found]), r"shape \(90, 3\) for 90 rows"),
        (Answering(label=lambda found: found - 1), "which is no class"),
        (Answering(label=lambda found: found + 0.5), "which is no class"),
        (Answering(label=lambda found: np.array(CLASSES)[found]), "which is no class"),
        (Answering(probability=lambda found: found[:, -1]), r"probabilities of shape \(90,\)"),
        (Answering(probability=lambda found: found[:, :2]), r"probabilities of shape \(90, 2\)"),
        (Answering(probability=lambda found: found[:, :, None]), r"probabilities of shape"),
        (Answering(probability=lambda found: 2 * found), "it must be within 0 and 1"),
        (Answering(probability=lambda found: found / 2), "sum to 0.5 in a row"),
        (Answering(probability=lambda found: np.log(found)), "it must be within 0 and 1"),
        (Answering(order=[0, 1]), r"probabilities of shape \(90, 3\)"),
        (Answering(order=[0, 1, 5]), r"has the classes_ \[0, 1, 5\]"),
        (Answering(order=[0, 1, 1]), r"has the classes_ \[0, 1, 1\]"),
        (Answering(order=list(CLASSES)), r"has the classes_ \['a', 'b', 'c'\]"),
        (Answering(label=lambda found: found + 1j), "complex numbers in predict"),
        (Answering(probability=lambda found: found + 0j), "complex numbers in predict_proba"),
        (Answering(label=lambda found: len(found) // 0), "fails in predict: ZeroDivisionError"),
    ],
)
def test_any_other_answer_is_an_error_that_names_the_estimator(estimator: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"the estimator Answering .*{said}"):
        classify(make_pipeline(estimator))


def test_probabilities_in_half_precision_sum_to_1_as_well_as_they_can() -> None:
    found = classify(Answering(probability=lambda found: found.astype(np.float16)))
    assert found.probabilities is not None
    assert found.probabilities.dtype == np.float64
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(20), size=2000).astype(np.float16)
    assert answer_shapes.probabilities(Answering(), rows, 2000, 20).dtype == np.float64


def test_probabilities_that_are_none_are_the_same_after_a_reload() -> None:
    none = Predictions([None], np.array([[np.nan, np.nan]]))
    assert agree(none, none)
    assert not agree(none, Predictions([None], np.array([[0.5, 0.5]])))


@pytest.mark.parametrize("bend", [lambda y: y[:, None], np.squeeze, lambda y: y.astype(object)])
def test_one_number_a_row_is_taken_in_any_dress(bend: Any) -> None:
    fitted = Numbers(bend).fit(X, X[:, 0])
    made = predictor.build(schema("regression"), fitted, X)
    for rows in (X, X[:1]):
        expected = fitted.inner_.predict(rows)
        np.testing.assert_allclose(made.predict(rows).values, expected)


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (lambda y: np.column_stack([y, y, y]), r"an array of shape \(1, 3\) for 1 row"),
        (lambda y: y[:-1], r"an array of shape \(0,\) for 1 row"),
        (lambda y: np.array([[y, y]]), r"an array of shape \(1, 2, 1\) for 1 row"),
        (lambda y: y[None, :], r"an array of shape \(1, 10\) for 10 rows"),
        (lambda y: np.array([f"{value} EUR" for value in y]), "which is no number"),
        (lambda y: np.array([10**400 for _ in y]), r"10{70,80}, which is no number"),
    ],
)
def test_other_than_one_number_a_row_is_an_error(bend: Any, said: str) -> None:
    fitted = Numbers(bend).fit(X, X[:, 0])
    with pytest.raises(InvalidInputError, match=f"the estimator Numbers answers with .*{said}"):
        predictor.build(schema("regression"), fitted, X)


def test_answers_are_looked_at_whenever_the_model_is_asked() -> None:
    """An estimator may be sound on the holdout and not on the rows of a client."""
    far = lambda found: np.where(found > 0.999, 1.5, found)  # noqa: E731
    fitted = Answering(probability=far).fit(X, CODES)
    made = predictor.build(schema("classification"), fitted, X)
    with pytest.raises(InvalidInputError, match=r"a probability of 1\.5"):
        made.predict(np.array([[50.0]]))
