"""Isotonic calibration without scikit-learn where it is applied."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from mlkit.steps.performance import calibration

SHARES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60)


@given(SHARES, st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_curve_is_the_one_of_scikit_learn(
    known: list[tuple[float, bool]], asked: list[float]
) -> None:
    said, true = (np.array(column, dtype=float) for column in zip(*known, strict=True))
    theirs = IsotonicRegression(out_of_bounds="clip").fit(said, true).predict(np.array(asked))
    curves = calibration.fit(np.column_stack([1 - said, said]), true.astype(int))
    found = calibration.apply(curves, np.column_stack([1 - np.array(asked), asked]))
    np.testing.assert_allclose(found[:, 1], theirs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_many_classes_are_calibrated_one_by_one_and_add_up_to_one() -> None:
    rng = np.random.default_rng(0)
    said = rng.dirichlet([1, 2, 3], 3_000)
    actual = np.array([rng.choice(3, p=row**2 / (row**2).sum()) for row in said])
    found = calibration.apply(calibration.fit(said, actual), said)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    sharper = said**2 / (said**2).sum(axis=1, keepdims=True)
    assert np.abs(found - sharper).mean() < np.abs(said - sharper).mean() / 2


def test_classes_that_never_come_true_are_even() -> None:
    never = calibration.Curve(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    found = calibration.apply([never] * 3, np.full((2, 3), 1 / 3))
    np.testing.assert_allclose(found, 1 / 3)


def test_a_class_that_the_model_does_not_know_counts_against_all() -> None:
    curves = calibration.fit(np.full((10, 2), 0.5), np.array([1, 0, -1, -1, -1] * 2))
    assert calibration.apply(curves, np.full((1, 2), 0.5))[0, 1] == pytest.approx(0.2)


@pytest.mark.parametrize("module", ["estimation", "estimation_file"])
def test_estimating_imports_neither_scikit_learn_nor_pandas(module: str) -> None:
    name = f"mlkit.steps.performance.{module}"
    program = f"import sys, {name}; print({{'sklearn', 'pandas'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
