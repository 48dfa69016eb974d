"""What one column alone explains."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.steps.training.single_skill import skill

RNG = np.random.default_rng(0)
ROWS = 1_000


@pytest.mark.parametrize(
    ("values", "target", "task", "low", "high"),
    [
        (RNG.normal(size=ROWS), RNG.normal(size=ROWS), "regression", 0.0, 0.02),
        (RNG.normal(size=ROWS), RNG.integers(0, 3, ROWS), "classification", 0.0, 0.02),
        (np.arange(ROWS) * 1.0, np.arange(ROWS) * 2.0, "regression", 0.999, 1.0),
        (np.arange(ROWS) % 24 * 1.0, np.arange(ROWS) % 24, "regression", 0.98, 1.0),
        (np.where(np.arange(ROWS) < 400, np.nan, 1), np.arange(ROWS) < 400, "classification",
         0.95, 1.0),
        (np.full(ROWS, np.nan), RNG.normal(size=ROWS), "regression", 0.0, 0.0),
        (RNG.normal(size=ROWS), np.zeros(ROWS), "classification", 0.0, 0.0),
        (RNG.normal(size=ROWS), np.ones(ROWS), "regression", 0.0, 0.0),
    ],
)  # fmt: skip
def test_the_share_is_what_a_column_knows(
    values: Any, target: Any, task: Any, low: float, high: float
) -> None:
    assert low <= skill(values, target, task) <= high


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=20, max_size=80),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["regression", "classification"]),
    st.booleans(),
)
def test_it_is_a_share_whatever_the_values(values: Any, seed: int, task: Any, coded: bool) -> None:
    given_values = np.array(values, dtype=float)
    target = np.random.default_rng(seed).integers(0, 3, len(values))
    assert 0.0 <= skill(given_values, target, task, coded=coded) <= 1.0
