"""A classifier sees what no single feature shows, and the reference says what is usual."""

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from mlkit.errors import InvalidInputError
from mlkit.steps.drift import joint
from mlkit.steps.drift.joint import Level, Sides
from mlkit.steps.drift.result import FeatureDrift
from mlkit.steps.predictors import threads

ROWS, WINDOW = 2_400, 300


def rows(count: int, seed: int, *, rho: float = 0.7, phi: float = 0.0) -> np.ndarray:
    """Return four features; the first two go together by ``rho``, rows resemble the one before."""
    noise = np.random.default_rng(seed).normal(size=(count + 100, 4)) * np.sqrt(1 - phi**2)
    found = np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=0))[100:]
    found[:, 1] = rho * found[:, 0] + np.sqrt(1 - rho**2) * found[:, 1]
    return found


def compare(reference: np.ndarray, window: np.ndarray) -> FeatureDrift:
    chosen = joint.plan(len(reference), len(window), density=1.0, ordered=True, seed=0)
    sides = Sides(
        reference[chosen.sample], tuple(reference[w] for w in chosen.windows), window[chosen.window]
    )
    names = ["a", "b", "c:hour", "c:weekday"]
    with threads.fit_for(ROWS):
        return joint.test(sides, chosen, names, Level(0.05, 0.01), seed=0, report=lambda _: None)


def test_features_that_go_together_in_another_way_are_found_and_named() -> None:
    found = compare(rows(ROWS, 1), rows(WINDOW, 2, rho=-0.7))
    assert found.p_value < 1e-4
    assert found.low is not None
    assert found.high is not None
    assert 0.6 < found.low < found.statistic < found.high < 1
    assert found.effect == pytest.approx(found.statistic - 0.5, abs=0.03)
    assert list(found.examples)[:2] in (["a", "b"], ["b", "a"])
    assert found.in_examples.startswith(("a (AUC 0.", "b (AUC 0."))
    assert found.minimum_detectable_in_words.startswith("rows told apart with an AUC 0.")


def test_rows_alike_are_told_apart_no_better_than_the_reference_s_own() -> None:
    found = compare(rows(ROWS, 1), rows(WINDOW, 2))
    assert found.p_value > 0.01
    assert found.statistic < 0.6


def test_a_stretch_of_a_slow_series_is_another_one_and_no_drift() -> None:
    found = compare(rows(ROWS, 3, phi=0.97), rows(WINDOW, 4, phi=0.97))
    assert found.p_value > 0.01
    assert found.effective_rows < WINDOW / 2


def test_a_column_that_begins_amid_the_reference_breaks_nothing_and_one_that_ends_is_found() -> (
    None
):
    reference, window = rows(1_600, 1), rows(200, 2)
    reference[:, 3] = np.nan
    assert compare(reference, np.where(np.arange(4) == 3, np.nan, window)).p_value > 0.01
    reference[1_400:, 3] = 1.0
    assert compare(reference, window).statistic > 0.8


def test_windows_of_the_reference_take_as_much_time_as_the_window() -> None:
    chosen = joint.plan(10_000, 4_000, density=10.0, ordered=True, seed=0)
    assert chosen.length == 400
    assert all(len(window) == 400 == window[-1] - window[0] + 1 for window in chosen.windows)
    assert len(chosen.window) == 400
    assert (np.diff(chosen.window) > 0).all()
    assert len(chosen.windows) == 16


def test_rows_in_no_order_are_shuffled() -> None:
    chosen = joint.plan(10_000, 1_000, density=1.0, ordered=False, seed=0)
    assert (np.diff(chosen.window) < 0).any()
    assert len(np.unique(np.concatenate(chosen.windows))) == 10 * 1_000


@pytest.mark.parametrize(("reference", "current"), [(700, 5_000), (100_000, 99), (0, 0)])
def test_too_few_rows_are_an_error_that_says_so(reference: int, current: int) -> None:
    with pytest.raises(InvalidInputError, match="too few for a joint test"):
        joint.plan(reference, current, density=1.0, ordered=True, seed=0)


def test_the_area_is_that_of_the_rank_test() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 9, 80), rng.integers(2, 12, 50)
    theirs = stats.mannwhitneyu(second, first).statistic / (80 * 50)
    assert joint._above(second, np.sort(first)) == pytest.approx(theirs, abs=1e-12)
