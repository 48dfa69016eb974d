from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.steps.training import split


@settings(max_examples=50)
@given(st.integers(10, 400), st.floats(0.05, 0.5), st.integers(0, 5), st.booleans())
def test_every_row_is_on_one_side(rows: Any, share: float, seed: int, ordered: bool) -> None:
    moments = np.random.default_rng(seed).integers(0, 20, rows) if ordered else None
    parts = split.hold_out(rows, share, moments=moments, seed=seed)
    assert sorted([*parts.train, *parts.holdout]) == list(range(rows))
    assert len(parts.holdout) >= 1
    if moments is not None:
        assert moments[parts.train].max() <= moments[parts.holdout].min()


def test_classes_keep_their_shares() -> None:
    strata = np.repeat([0, 1], [900, 100])
    parts = split.hold_out(1000, 0.2, strata=strata, seed=3)
    assert strata[parts.holdout].sum() == 20


def test_the_same_seed_gives_the_same_rows() -> None:
    first, second = (split.hold_out(100, 0.2, seed=7).holdout for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_small_data_is_judged_on_every_row() -> None:
    found = split.folds(90, ordered=False, strata=np.repeat([0, 1], 45), seed=0)
    assert sorted(np.concatenate([part.holdout for part in found])) == list(range(90))


def test_ordered_folds_never_look_back() -> None:
    (part,) = split.folds(100, ordered=True)
    assert part.train.max() < part.holdout.min()
