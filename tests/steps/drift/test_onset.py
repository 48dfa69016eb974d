"""A moment is named only if the change is sudden, beyond chance, and still there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from mlkit.steps.drift import onset


def gaps(*parts: tuple[int, float], seed: int = 0) -> np.ndarray:
    """Return 0 and 1: so many rows each, of which such a share is missing."""
    rng = np.random.default_rng(seed)
    return np.concatenate([(rng.random(rows) < share).astype(float) for rows, share in parts])


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_a_break_is_found_where_it_is(share: float) -> None:
    found = onset.find_change_point(gaps((700, 0.03), (300, share)))
    assert found is not None
    assert found.place == pytest.approx(700, abs=8)
    assert found.after == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize(
    "values",
    [
        gaps((1_000, 0.1)),
        gaps((1_000, 1.0)),
        gaps((30, 0.0), (5, 1.0)),
        (np.random.default_rng(1).random(2_000) < np.linspace(0, 0.8, 2_000)).astype(float),
        gaps((400, 0.05), (200, 0.9), (400, 0.05)),
    ],
    ids=["nothing", "all of it", "too short", "a slow rise", "over again"],
)
def test_what_is_not_sudden_or_not_there_any_more_has_no_moment(values: np.ndarray) -> None:
    assert onset.find_change_point(values) is None


@pytest.mark.parametrize("phi", [0.0, 0.8, 0.95])
def test_a_moment_is_hardly_ever_named_where_nothing_happened(phi: float) -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(200, 1_300))
    series = np.asarray(lfilter([1], [1, -phi], noise, axis=1))[:, 300:]
    assert sum(onset.find_change_point(row) is not None for row in series) <= 4


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60))
def test_the_split_is_the_best_of_all(values: list[int]) -> None:
    array = np.array(values, dtype=float)
    found = onset.split(array)
    if found is None:
        assert array.min() == array.max()
        return

    def score(place: int) -> float:
        first, second = array[:place], array[place:]
        share = len(first) * len(second) / len(array)
        return abs(float(first.mean() - second.mean())) * float(np.sqrt(share))

    assert score(found.place) == pytest.approx(max(score(k) for k in range(1, len(array))))
