import numpy as np
import pytest
from scipy.signal import lfilter

from mlkit.steps.drift import correlation


def autoregressive(rows: int, phi: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=rows + 200) * np.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise))[200:]


def test_independent_rows_count_in_full() -> None:
    rng = np.random.default_rng(1)
    assert correlation.time([rng.random(5_000) < 0.5]) < 1.1


def test_a_series_that_says_everything_twenty_times_is_worth_a_twentieth() -> None:
    rng = np.random.default_rng(1)
    repeated = np.repeat(rng.random(1_000) < 0.5, 20)
    assert correlation.time([repeated]) == pytest.approx(20, rel=0.25)


def test_the_time_of_a_median_crossing_grows_with_the_correlation() -> None:
    times = [
        correlation.time([autoregressive(20_000, phi, 3) <= 0]) for phi in (0.0, 0.5, 0.8, 0.95)
    ]
    assert times == sorted(times)
    assert times[2] == pytest.approx(6.4, rel=0.25)  # 1 + 2 * sum of 2/pi * asin(0.8**k)


def test_a_series_that_never_changes_says_nothing() -> None:
    assert correlation.time([np.ones(100, bool)]) == 1.0
    assert correlation.time([np.zeros(1, bool)]) == 1.0


def test_alternating_rows_never_count_for_more_than_they_are() -> None:
    assert correlation.time([np.arange(1_000) % 2 == 0]) == 1.0


def test_a_long_series_is_measured_on_parts_of_it() -> None:
    long = autoregressive(400_000, 0.8, 5) <= 0
    assert correlation.time([long]) == pytest.approx(6.4, rel=0.2)
