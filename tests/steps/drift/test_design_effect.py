"""The design effect of windows of a series is what theory says."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import lfilter

from mlkit.steps.drift import design_effect


def _series(phi: float, rows: int) -> Callable[[int], np.ndarray]:
    def make(seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=rows + 500)
        return np.asarray(lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise))[500:]

    return make


def _median_tau(values: np.ndarray) -> float:
    sizes = [size for size in design_effect.sizes(len(values)) if size > 200]
    codes = design_effect.cells(values, np.sort(values))
    return float(np.median(design_effect.taus(codes, "ks", sizes)))


@pytest.mark.parametrize(("phi", "least", "most"), [(0.0, 1.0, 1.2), (0.8, 5, 9), (0.95, 20, 45)])
def test_an_autoregressive_series_has_the_tau_of_its_median(
    phi: float, least: float, most: float
) -> None:
    """The sum of the autocorrelations of 1{x <= median}: 2/pi arcsin(phi^k), 6.0 and 25.6."""
    found = np.median([_median_tau(_series(phi, 40_000)(seed)) for seed in range(3)])
    assert least <= found <= most


@pytest.mark.parametrize(("phi", "expected"), [(0.0, 1.0), (0.8, 9.0), (0.95, 39.0)])
def test_a_mean_of_an_autoregressive_series_has_its_tau(phi: float, expected: float) -> None:
    """That is (1 + phi) / (1 - phi); what is found errs to the safe side."""
    sizes = design_effect.sizes(30_000)
    taus = np.array(
        [
            design_effect.mean_taus(_series(phi, 30_000)(seed)[:, None], sizes)[0]
            for seed in range(8)
        ]
    )
    for rows in (1_000, 10_000):
        found = np.median([design_effect.at(each, sizes, rows) for each in taus])
        assert 0.9 * expected <= found <= 1.5 * expected


def test_means_of_a_season_scatter_less_in_windows_of_all_of_it() -> None:
    rows = np.arange(60_000)
    scores = np.sqrt(2) * np.sin(2 * np.pi * rows / 1_024)
    part, whole = design_effect.mean_taus(scores[:, None], [430, 1_024])[0]
    assert part > 100
    assert whole == 1.0


def test_a_window_of_a_whole_season_is_worth_its_rows_and_a_part_of_it_is_not() -> None:
    rows = np.arange(60_000)
    values = np.sin(2 * np.pi * rows / 1_024) + np.random.default_rng(0).normal(size=len(rows))
    codes = design_effect.cells(values, np.sort(values))
    part, whole = design_effect.taus(codes, "ks", [430, 1_024])
    assert whole < 1.5
    assert part > 20


def test_labels_in_runs_count_for_fewer() -> None:
    codes = np.repeat(np.random.default_rng(1).integers(0, 4, 2_000), 8)
    found = design_effect.taus(codes, "chi2", [256, 1_024])
    assert ((found > 5) & (found < 16)).all()


@pytest.mark.parametrize("statistic", ["ks", "chi2"])
def test_a_constant_is_worth_its_rows(statistic: design_effect.Statistic) -> None:
    assert design_effect.taus(np.zeros(1_000, dtype=int), statistic, [64]).tolist() == [1.0]


def test_a_column_too_short_for_windows_is_taken_as_a_series() -> None:
    values = _series(0.95, 400)(3)
    (found,) = design_effect.taus(design_effect.cells(values, np.sort(values)), "ks", [64])
    assert found > 8
    labels = np.repeat(np.random.default_rng(2).integers(0, 3, 40), 10)
    (found,) = design_effect.taus(labels, "chi2", [64])
    assert 5 < found < 20
    assert design_effect.taus(np.zeros(0, dtype=int), "ks", [64]).tolist() == [1.0]
    (found,) = design_effect.mean_taus(values[:, None], [64])[0]
    assert found > 8


def test_too_few_windows_say_nothing() -> None:
    codes = np.arange(500) // 100
    before = design_effect.taus(np.repeat(codes, 4) % 2, "chi2", [200])
    assert design_effect.taus(np.repeat(codes, 4) % 2, "chi2", [200, 900]).tolist() == [
        *before,
        *before,
    ]
    assert design_effect.sizes(511) == ()
    assert design_effect.at(np.ones(0), (), 100) == 1.0


def test_beyond_the_sizes_looked_at_the_largest_of_the_last_ones_holds() -> None:
    found = design_effect.at(np.array([9.0, 2.0, 5.0, 4.0, 3.0]), [100, 119, 141, 168, 200], 300)
    assert found == pytest.approx(5.0)


def test_between_and_below_the_sizes_looked_at() -> None:
    assert design_effect.at(np.array([2.0, 8.0]), [100, 400], 10) == pytest.approx(2.0)
    assert design_effect.at(np.array([2.0, 8.0]), [100, 400], 10_000) == pytest.approx(8.0)
