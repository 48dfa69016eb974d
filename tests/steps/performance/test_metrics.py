from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import metrics
from mlkit.steps.performance.metrics import Resampling

FEW = Resampling(rounds=50, confidence=0.9, seed=0)


def classified(rows: Any = 300, classes: int = 2, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), rows).round(2)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = [f"k{i}" for i in range(classes)]
    actuals = [names[rng.choice(classes, p=p)] for p in probabilities]
    values = [names[i] for i in probabilities.argmax(axis=1)]
    return Predictions(values, probabilities), actuals, names


def test_regression_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    actual, value = rng.normal(size=200), rng.normal(size=200)
    found, intervals = metrics.evaluate(
        Predictions(value.tolist(), None), actual.tolist(), (), task="regression", resampling=FEW
    )
    assert found["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(actual, value))
    assert found["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(actual, value))
    assert found["r2"] == pytest.approx(sklearn.metrics.r2_score(actual, value))
    for name, (low, high) in intervals.items():
        assert low <= found[name] <= high


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 4))
def test_classification_metrics_are_scikit_learns(seed: int, classes: int) -> None:
    answers, actuals, names = classified(seed=seed, classes=classes)
    found, _ = metrics.evaluate(
        answers, actuals, names, task="classification", resampling=FEW._replace(rounds=2)
    )
    truth = sklearn.metrics.log_loss(actuals, answers.probabilities, labels=names)
    assert found["log_loss"] == pytest.approx(truth)
    assert found["accuracy"] == sklearn.metrics.accuracy_score(actuals, answers.values)
    if classes == 2:
        positive = np.array(actuals) == "k1"
        score = answers.probabilities[:, 1]
        assert found["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(positive, score))
        assert found["brier"] == pytest.approx(np.mean((score - positive) ** 2))


def test_without_probabilities_wrong_labels_are_counted() -> None:
    answers = Predictions(["a", "b", "a"], None)
    assert metrics.primary(answers, task="classification") == "error_rate"
    found, _ = metrics.evaluate(
        answers, ["a", "a", "a"], ["a", "b"], task="classification", resampling=FEW
    )
    assert found["error_rate"] == pytest.approx(1 / 3)


def test_an_unknown_class_costs_as_much_as_an_impossible_one() -> None:
    answers = Predictions(["a", "a"], np.array([[1.0, 0.0], [1.0, 0.0]]))
    unknown, impossible = metrics.losses("log_loss", answers, ["z", "b"], ["a", "b"])
    assert unknown == impossible == pytest.approx(36.04, abs=0.01)


def test_what_is_undefined_is_left_out() -> None:
    answers = Predictions([1.0, 2.0], None)
    found, _ = metrics.evaluate(answers, [3.0, 3.0], (), task="regression", resampling=FEW)
    assert sorted(found) == ["mae", "rmse"]


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(200):
        found = metrics.mean_interval(rng.normal(size=80), Resampling(200, 0.9, seed))
        hits += found.low <= 0 <= found.high
    assert 165 <= hits <= 195


def test_blocks_widen_the_interval_of_rows_that_resemble_their_neighbours() -> None:
    rng = np.random.default_rng(0)
    values = np.convolve(rng.normal(size=520), np.ones(20) / 20, mode="valid")
    single = metrics.mean_interval(values, Resampling(300, 0.95, 0, block=1))
    blocks = metrics.mean_interval(values, Resampling(300, 0.95, 0, block=20))
    assert blocks.high - blocks.low > 2 * (single.high - single.low)


def test_every_resample_draws_as_many_rows_as_there_are() -> None:
    for weights in metrics.resamples(10, Resampling(5, 0.95, 0, block=4)):
        assert weights.sum() == 10


def test_losses_of_probabilities_in_single_precision_are_in_double() -> None:
    answers = Predictions(["a", "b"], np.array([[0.25, 0.75], [0, 1]], np.float32))
    found = metrics.losses("log_loss", answers, ["b", "b"], ["a", "b"])
    assert found.dtype == np.float64
    assert metrics.usable(found).all()
