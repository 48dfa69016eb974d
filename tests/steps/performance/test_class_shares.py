"""A base rate that moved, told apart from inputs that did."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.steps.performance import class_shares

PRIOR = np.array([0.7, 0.3])


def draw(rows: int, share: float, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two columns that differ between the classes, one that does not; then the class."""
    rng = np.random.default_rng(seed)
    actual = (rng.random(rows) < share).astype(int)
    x = rng.normal(size=(rows, 3))
    x[:, 0] += 1.5 * actual
    x[:, 1] -= actual
    x[:, 2] += shift
    return x, actual


def chances(x: np.ndarray) -> np.ndarray:
    """Return the true probabilities at the base rate of PRIOR, by Bayes."""
    odds = np.exp(1.5 * x[:, 0] - 1.125 - x[:, 1] - 0.5) * PRIOR[1] / PRIOR[0]
    return np.column_stack([1 / (1 + odds), odds / (1 + odds)])


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_the_new_share_is_found(share: float) -> None:
    x, actual = draw(8_000, share, 1)
    assert class_shares.shares(chances(x), PRIOR)[1] == pytest.approx(actual.mean(), abs=0.02)


def test_a_moved_base_rate_is_explained_and_moved_inputs_are_not() -> None:
    looks = class_shares.look(*draw(4_000, 0.3, 0), 2)
    for share, shift, moved, explained in ((0.3, 0.0, False, True), (0.5, 0.0, True, True),
                                           (0.3, 0.5, True, False)):  # fmt: skip
        x, _ = draw(3_000, share, 5, shift)
        seen = class_shares.count(looks.edges, x)
        now = class_shares.shares(chances(x), PRIOR)
        assert class_shares.moved(looks, seen) is moved
        assert class_shares.explained(looks, seen, now) is explained


def test_a_class_that_was_never_seen_explains_nothing() -> None:
    x, actual = draw(500, 0.3, 0)
    looks = class_shares.look(x, actual, 3)
    seen = class_shares.count(looks.edges, x)
    assert not class_shares.explained(looks, seen, np.array([0.5, 0.3, 0.2]))


def test_missing_values_are_looks_too() -> None:
    x, actual = draw(2_000, 0.3, 0)
    looks = class_shares.look(x, actual, 2)
    x[::10, 2] = np.nan
    assert class_shares.moved(looks, class_shares.count(looks.edges, x))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(0, 1_000))
@settings(max_examples=50, deadline=None)
def test_mending_there_and_back_changes_nothing(first: float, second: float, seed: int) -> None:
    said = np.random.default_rng(seed).dirichlet([1, 1], 20).clip(1e-6, 1)
    said /= said.sum(axis=1, keepdims=True)
    base, now = np.array([1 - first, first]), np.array([1 - second, second])
    there = class_shares.correct(said, base, now)
    np.testing.assert_allclose(there.sum(axis=1), 1)
    np.testing.assert_allclose(class_shares.correct(there, now, base), said, atol=1e-9)
