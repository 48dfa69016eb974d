"""A row without an answer is named; a model that fails for every row is not the row's fault."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlkit.errors import InvalidInputError, ModelFailsError
from mlkit.steps.inputs import unanswered
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.predictors.predictor import Predictor

SCHEMA = InputSchema(
    columns=(
        Column(name="a", kind="number", minimum=1.0, maximum=2.0),
        Column(name="b", kind="number", nullable=True, minimum=-1.0, maximum=1.0),
    ),
    target="y",
    task="regression",
)
CLASSES = InputSchema(
    columns=SCHEMA.columns, target="y", task="classification", classes=("no", "yes")
)
ROWS = np.array([[1.0, 0.0], [9.0, np.nan], [1.5, 0.5]])


def _answering(*values: object) -> Callable[[np.ndarray], Predictions]:
    return lambda _matrix: Predictions(list(values), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 1e101, -1.797e308, None]
)
def test_a_row_without_a_finite_answer_is_named(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"row 1, column 'a': .* no finite answer") as told:
        unanswered.ask(_answering(1.0, value, 2.0), SCHEMA, ROWS)
    assert [problem["row"] for problem in told.value.details["problems"]] == [1]


@pytest.mark.parametrize("values", [(1e100, -1e100, 5e-324), (True, 2**63 - 1, "text")])
def test_answers_that_are_answers_pass(values: tuple[object, ...]) -> None:
    assert unanswered.ask(_answering(*values), SCHEMA, ROWS).values == list(values)


@pytest.mark.parametrize("value", [1.797e308, -1e39])
def test_an_input_that_no_model_takes_is_named_before_the_model_sees_it(value: float) -> None:
    asked: list[np.ndarray] = []
    rows = np.array([[1.0, 0.0], [1.0, value]])
    with pytest.raises(InvalidInputError, match=r"row 1, column 'b': .*beyond 3.4e\+38"):
        unanswered.ask(lambda rows: asked.append(rows) or Predictions([], None), SCHEMA, rows)
    assert not asked


def _strict(matrix: np.ndarray) -> Predictions:
    """Answer as scikit-learn does: one row that it does not like fails them all."""
    if (matrix[:, 0] > 5).any():
        raise ValueError("Input X contains infinity or a value too large for dtype('float32')")
    return Predictions(matrix[:, 0].tolist(), None)


def test_a_row_that_makes_the_model_fail_is_named_and_no_other() -> None:
    with pytest.raises(InvalidInputError, match="row 1, column 'a': the model fails") as told:
        unanswered.ask(_strict, SCHEMA, ROWS)
    assert len(told.value.details["problems"]) == 1


def test_a_model_that_fails_for_every_row_is_at_fault_itself() -> None:
    def broken(_matrix: np.ndarray) -> Predictions:
        raise ZeroDivisionError

    with pytest.raises(ModelFailsError, match="ZeroDivisionError"):
        unanswered.ask(broken, SCHEMA, ROWS)


def test_a_model_that_fails_at_a_border_is_not_at_fault() -> None:
    def logarithm(matrix: np.ndarray) -> Predictions:
        return Predictions([math.log(value) for value in matrix[:, 0].tolist()], None)

    column = Column(name="a", kind="number", minimum=0.0, maximum=2.0)
    schema = InputSchema(columns=(column,), target="y", task="regression")
    with pytest.raises(InvalidInputError, match="row 1, column 'a': the model fails"):
        unanswered.ask(logarithm, schema, np.array([[1.0], [0.0]]))


def test_a_row_that_makes_the_model_fail_is_found_among_thousands() -> None:
    rows = np.zeros((5000, 2))
    rows[[150, 4000, 4001], 0] = 1e9
    with pytest.raises(InvalidInputError, match="row 150, column 'a': the model fails") as told:
        unanswered.ask(_strict, SCHEMA, rows)
    assert [each["row"] for each in told.value.details["problems"]] == [150, 4000, 4001]


class Odd:
    """An estimator that gives what it was made with for each of ``ROWS``, the first for others."""

    def __init__(self, codes: list[float], probabilities: list[list[float]] | None = None) -> None:
        self.codes = codes
        if probabilities is not None:
            self.predict_proba = lambda matrix: np.array(_of_rows(probabilities, matrix))

    def predict(self, matrix: np.ndarray) -> object:
        return _of_rows(self.codes, matrix)


def _of_rows(answers: list[Any], matrix: np.ndarray) -> list[Any]:
    known = ROWS[:, 0].tolist()
    return [answers[known.index(row[0]) if row[0] in known else 0] for row in matrix.tolist()]


@pytest.mark.parametrize("codes", [[0, -1, 1], [0, 2, 1], [0.0, np.nan, 1.0], [0.0, 0.5, 1.0]])
def test_a_label_that_is_no_class_is_no_answer(codes: list[float]) -> None:
    found = unanswered.with_gaps(Predictor(CLASSES, Odd(codes)).predict, CLASSES, ROWS)
    assert (found.values[0], found.values[2]) == ("no", "yes")
    assert unanswered.places(found) == [1]


@pytest.mark.parametrize("bad", [[np.nan, np.nan], [np.nan, 0.5], [np.inf, 0.0], [0.5, -np.inf]])
def test_probabilities_that_are_no_numbers_are_no_answer(bad: list[float]) -> None:
    told = [[0.9, 0.1], bad, [0.1, 0.9]]
    found = unanswered.with_gaps(Predictor(CLASSES, Odd([0, 0, 1], told)).predict, CLASSES, ROWS)
    assert (found.values[0], found.values[2]) == ("no", "yes")
    assert unanswered.places(found) == [1]


def test_a_champion_that_fails_for_a_row_has_a_gap_there_and_answers_the_others() -> None:
    rows = np.array([[1.0, 0.0], [9.0, 0.0], [1.5, 0.5], [2.0, 0.0], [8.0, 0.0]])
    found = unanswered.with_gaps(_strict, SCHEMA, rows)
    assert unanswered.places(found) == [1, 4]
    assert [found.values[place] for place in (0, 2, 3)] == [1.0, 1.5, 2.0]


def test_a_gap_among_classes_has_probabilities_that_are_none() -> None:
    def answer(matrix: np.ndarray) -> Predictions:
        _strict(matrix)
        return Predictions(["no"] * len(matrix), np.tile([0.9, 0.1], (len(matrix), 1)))

    found = unanswered.with_gaps(answer, CLASSES, ROWS)
    assert unanswered.places(found) == [1]
    assert found.probabilities is not None
    assert np.isnan(found.probabilities).all(axis=1).tolist() == [False, True, False]


def test_a_champion_that_fails_for_every_row_is_told_of() -> None:
    def broken(_matrix: np.ndarray) -> Predictions:
        raise ZeroDivisionError

    with pytest.raises(InvalidInputError, match="it fails: ZeroDivisionError"):
        unanswered.with_gaps(broken, SCHEMA, ROWS)
