"""The moments of ranks are the classical tests, and their p values are what they say."""

import numpy as np
import pytest
from scipy import stats

from mlkit.steps.drift import moments


def _z(reference: np.ndarray, sample: np.ndarray) -> np.ndarray:
    ordered = np.sort(reference)
    rows = len(reference) * len(sample) / (len(reference) + len(sample))
    return moments.means(np.sort(sample), moments.scale(ordered)) * np.sqrt(rows)


def test_the_first_moment_is_wilcoxons_test_and_the_second_moods() -> None:
    rng = np.random.default_rng(0)
    reference, sample = rng.normal(size=40_000), 1.2 * rng.normal(size=800) + 0.1
    z = np.abs(_z(reference, sample))
    rank_sum = stats.mannwhitneyu(sample, reference)
    assert z[0] == pytest.approx(stats.norm.isf(rank_sum.pvalue / 2), rel=0.03)
    assert z[1] == pytest.approx(abs(stats.mood(sample, reference).statistic), rel=0.03)


def test_scores_are_uncorrelated_with_mean_0_and_variance_1_also_with_ties() -> None:
    values = np.round(np.random.default_rng(1).gamma(2, 2, size=20_000) * 4) / 4
    scores = moments.series(values, moments.scale(np.sort(values)))
    assert scores.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert np.cov(scores.T, bias=True) == pytest.approx(np.eye(moments.COUNT), abs=1e-9)


def test_moments_that_ties_leave_nothing_of_are_left_out() -> None:
    rng = np.random.default_rng(2)
    mostly = np.where(rng.random(20_000) < 0.95, 0.0, rng.normal(size=20_000))
    assert moments.scale(np.sort(mostly)).scores.shape[1] < moments.COUNT
    same = np.zeros(1_000)
    assert moments.means(same, moments.scale(same)).shape == (0,)


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
def test_chance_gives_small_p_values_as_often_as_they_say(alpha: float) -> None:
    z = np.random.default_rng(3).normal(size=(40_000, moments.COUNT))
    rows = np.full(moments.COUNT, 1e6)
    found = np.mean([moments.p_value(each, rows) <= alpha for each in z / 1_000])
    assert found == pytest.approx(alpha, abs=4 * np.sqrt(alpha / len(z)) + 0.1 * alpha)


def test_few_rows_are_believed_less() -> None:
    few, many = (moments.p_value(np.array([4 / np.sqrt(n)]), np.array([n])) for n in (10, 10_000))
    assert few > 2 * many
