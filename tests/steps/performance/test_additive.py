"""Bent lines that add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlkit.steps.performance import additive


def test_bent_lines_are_found() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 3))
    truth = np.abs(x[:, 0]) + 0.5 * x[:, 1]
    model = additive.fit(x, truth + rng.normal(size=4_000) * 0.1)
    fresh = rng.normal(size=(1_000, 3))
    expected = np.abs(fresh[:, 0]) + 0.5 * fresh[:, 1]
    assert np.abs(additive.answer(model, fresh) - expected).mean() < 0.06


def test_each_of_few_values_and_missing_ones_have_a_mean_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x = rng.choice([0.0, 1.0, 2.0, np.nan], size=(4_000, 1))
    means = {0.0: 5.0, 1.0: -1.0, 2.0: 3.0}
    truth = np.array([means.get(value, 9.0) for value in x[:, 0]])
    found = additive.answer(additive.fit(x, truth), np.array([[0.0], [1.0], [2.0], [np.nan]]))
    assert found == pytest.approx([5, -1, 3, 9], abs=0.05)


def test_noise_alone_leaves_the_mean() -> None:
    rng = np.random.default_rng(0)
    model = additive.fit(rng.normal(size=(2_000, 10)), rng.normal(7, 1, size=2_000))
    assert additive.answer(model, rng.normal(size=(500, 10))).std() < 0.1


@given(
    arrays(float, st.tuples(st.integers(1, 40), st.integers(1, 3)),
           elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan))),
    st.integers(0, 100),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_the_mean_of_what_was_learned_from_is_kept(matrix: np.ndarray, seed: int) -> None:
    target = np.random.default_rng(seed).exponential(size=len(matrix))
    found = additive.answer(additive.fit(matrix, target), matrix)
    assert found.mean() == pytest.approx(target.mean(), rel=1e-6)
    assert np.isfinite(additive.answer(additive.fit(matrix, target), matrix * 1e3)).all()


def test_what_lies_beyond_is_drawn_in_and_counted() -> None:
    x = np.column_stack([np.linspace(0, 1, 200), np.zeros(200)])
    model = additive.fit(x, x[:, 0])
    far = np.array([[50.0, 0.0], [0.5, 0.0], [np.nan, 1.0], [0.2, 0.0]])
    assert additive.answer(model, far)[0] == pytest.approx(1.0, abs=0.02)
    assert additive.outside(model, far).tolist() == [0.5, 0.25]


def test_two_columns_that_count_together_are_found() -> None:
    rng = np.random.default_rng(0)
    x, fresh = rng.normal(size=(4_000, 3)), rng.normal(size=(1_000, 3))
    model = additive.fit(x, np.abs(x[:, 0] * x[:, 2]))
    assert np.abs(additive.answer(model, fresh) - np.abs(fresh[:, 0] * fresh[:, 2])).mean() < 0.05
