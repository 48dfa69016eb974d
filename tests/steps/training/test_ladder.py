from typing import Any

import numpy as np
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.training import estimators, fitting, ladder, split
from mlkit.steps.training.estimators import Recipe
from mlkit.steps.training.fitting import EncodedRows
from mlkit.steps.training.ladder import _Candidate

RNG = np.random.default_rng(0)


def problem(function: Any, rows: Any = 400) -> Any:
    matrix = RNG.normal(size=(rows, 3))
    target = function(matrix) + RNG.normal(size=rows) * 0.2
    schema = InputSchema(
        columns=tuple(Column(name=f"c{i}", kind="number") for i in range(3)),
        target="y",
        task="regression",
    )
    return Recipe(schema, 0), EncodedRows(matrix, target, target.tolist())


def climbed(function: Any) -> Any:
    recipe, rows = problem(function)
    rungs = ladder.climb(recipe, rows, split.folds(400, ordered=False))
    return next(rung.name for rung in rungs if rung.chosen), rungs


def test_noise_needs_no_more_than_the_dummy() -> None:
    name, rungs = climbed(lambda x: np.zeros(len(x)))
    assert name == "dummy"
    assert [rung.name for rung in rungs] == list(estimators.LADDER)
    assert "simplest sufficient" in ladder.explain(rungs) or "best model" in ladder.explain(rungs)


def test_a_straight_line_needs_a_linear_model() -> None:
    assert climbed(lambda x: 3 * x[:, 0] - x[:, 1])[0] in ("linear", "tuned linear")


def test_an_interaction_needs_boosting() -> None:
    assert climbed(lambda x: 3 * np.sign(x[:, 0] * x[:, 1]))[0] == "boosting"


def test_the_simplest_within_one_standard_error_is_chosen() -> None:
    noise = RNG.normal(size=1000)
    best = _Candidate("complex", {}, np.abs(noise))
    near = _Candidate("simple", {}, np.abs(noise) + 0.001 + 0.1 * RNG.normal(size=1000))
    far = _Candidate("simplest", {}, np.abs(noise) + 0.1)
    assert [r.chosen for r in ladder.choose([far, near, best])] == [False, True, False]


def test_tuning_tries_seeded_parameters_and_never_ends_worse() -> None:
    recipe, rows = problem(lambda x: 3 * np.sign(x[:, 0] * x[:, 1]))
    folds = split.folds(400, ordered=True)
    first, again = (ladder.tuned("boosting", recipe, rows, folds, trials=3) for _ in range(2))
    assert first == again
    assert first.trials == 3


def test_what_has_no_parameters_is_not_tuned() -> None:
    recipe, rows = problem(lambda x: x[:, 0])
    with pytest.raises(InvalidInputError, match="nothing to tune"):
        ladder.tuned("dummy", recipe, rows, split.folds(400, ordered=True), trials=3)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [("magic", "regression", "known: auto, dummy"), ("ridge", "classification", "for regression")],
)
def test_a_wrong_estimator_name_is_explained(name: str, task: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        estimators.check(name, task)


def test_an_estimator_that_fails_is_an_error_of_the_user() -> None:
    _, rows = problem(lambda x: x[:, 0])
    with pytest.raises(InvalidInputError, match="failed to fit: ZeroDivisionError"):
        fitting.fit("mine", lambda: 1 / 0, rows, [])
