from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from mlkit.steps.inputs.expand import MAX_WIDTH, Expand


def test_numbers_are_standardised_and_missing_ones_flagged() -> None:
    found = Expand().fit_transform(np.array([[1.0], [3.0], [np.nan]]))
    filled = np.array([1.0, 3.0, 1.0])
    np.testing.assert_allclose(found[:, 0], (filled - filled.mean()) / filled.std())
    np.testing.assert_array_equal(found[:, 1], [0, 0, 1])


def test_codes_become_one_column_each_and_unknown_ones_none() -> None:
    expand = Expand(categorical=(0,)).fit(np.array([[0.0], [2.0], [2.0]]))
    np.testing.assert_array_equal(
        expand.transform(np.array([[0.0], [2.0], [1.0], [np.nan]])),
        [[1, 0], [0, 1], [0, 0], [0, 0]],
    )


@pytest.mark.parametrize(
    "column",
    [[5.0, 5.0, 5.0], [np.nan] * 3, [1e308, -1e308, 1e308], [1e300, 1e300, -1e300]],
    ids=["constant", "missing", "overflowing", "huge"],
)
def test_a_column_that_cannot_be_scaled_gives_finite_numbers(column: Any) -> None:
    matrix = np.array(column)[:, None]
    assert np.isfinite(Expand().fit(matrix).transform(matrix)).all()


def test_many_categories_stay_within_the_width() -> None:
    matrix = np.tile(np.arange(60.0)[:, None], (1, 300))
    assert Expand(categorical=tuple(range(300))).fit_transform(matrix).shape[1] <= MAX_WIDTH


def test_it_can_be_cloned() -> None:
    assert clone(Expand(categorical=(1,))).categorical == (1,)
