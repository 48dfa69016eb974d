"""A holdout whose target is not that of the training rows."""

import numpy as np
import pytest

from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.training import target_shift

PRICE = InputSchema(columns=(), target="price", task="regression")
LEFT = InputSchema(columns=(), target="left", task="classification", classes=("no", "yes"))
RNG = np.random.default_rng(0)


def test_another_level_of_a_number_is_named_with_medians_and_distance() -> None:
    (found,) = target_shift.find(PRICE, RNG.normal(100, 10, 800), RNG.normal(110, 10, 200))
    assert found.startswith("target_drift: 'price' of the holdout, the newest rows")
    assert "median 99.531, now 108.5" in found
    assert "KS 0." in found


def test_other_shares_of_classes_are_named() -> None:
    (found,) = target_shift.find(LEFT, RNG.random(800) < 0.2, RNG.random(200) < 0.5)
    assert "% were '" in found
    assert "total variation 0." in found


@pytest.mark.parametrize("seed", range(20))
def test_the_same_world_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert target_shift.find(PRICE, rng.normal(size=800), rng.normal(size=200)) == []
    assert target_shift.find(LEFT, rng.random(400) < 0.3, rng.random(100) < 0.3) == []


def test_a_small_change_or_a_small_holdout_says_nothing() -> None:
    assert target_shift.find(PRICE, RNG.normal(0, 1, 9000), RNG.normal(0.2, 1, 9000)) == []
    assert target_shift.find(PRICE, np.zeros(800), np.ones(20)) == []
    assert target_shift.find(LEFT, np.zeros(800), np.zeros(200)) == []
