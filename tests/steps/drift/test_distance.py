"""The statistics are scipy's; only the import of scipy.stats is saved."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlkit.steps.drift import distance

TIGHT = 1e-12
numbers = st.lists(st.integers(-20, 20) | st.floats(-1e9, 1e9), min_size=2, max_size=60)
counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12)


@settings(max_examples=50, deadline=None)
@given(numbers, numbers)
def test_the_distance_is_that_of_scipy_for_any_values_and_ties(
    first: list[float], second: list[float]
) -> None:
    mine = distance.ks(np.sort(np.array(first, float)), np.sort(np.array(second, float)))
    theirs = stats.ks_2samp(first, second, method="asymp")
    assert mine.distance == pytest.approx(theirs.statistic, abs=TIGHT)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["normal", "ties", "tail", "same", "apart"]))
def test_the_distance_from_a_long_reference_is_scipys_too(seed: int, kind: str) -> None:
    """More than two values for each step of the grid: most of them are never looked at."""
    rng = np.random.default_rng(seed)
    first = {
        "normal": lambda rows: rng.normal(size=rows),
        "ties": lambda rows: np.round(rng.gamma(1, 3, size=rows)),
        "tail": lambda rows: rng.pareto(0.5, size=rows),
        "same": lambda rows: np.arange(rows, dtype=float) % 9_973,
        "apart": lambda rows: rng.normal(size=rows),
    }[kind]
    reference, current = first(30_000), first(int(rng.integers(1, 40_000)))
    current = current + 100 if kind == "apart" else current
    mine = distance.ks(np.sort(reference), np.sort(current)).distance
    theirs = stats.ks_2samp(reference, current, method="asymp").statistic
    assert mine == pytest.approx(theirs, abs=TIGHT)


@pytest.mark.parametrize(("rows", "other"), [(100, 100), (50, 5_000), (20_000, 300)])
def test_the_p_value_is_scipys_asymptotic_one_to_a_thousandth(rows: int, other: int) -> None:
    rng = np.random.default_rng(rows)
    for shift in (0.0, 0.05, 0.1, 0.2, 0.4):
        first, second = rng.normal(size=rows), rng.normal(shift, size=other)
        theirs = stats.ks_2samp(first, second, method="asymp").pvalue
        assert distance.ks(np.sort(first), np.sort(second)).p_value == pytest.approx(
            theirs, abs=1e-3
        )


def test_infinities_are_values_like_others() -> None:
    found = distance.ks(np.array([-np.inf, 0.0, 1.0, np.inf]), np.array([np.inf, np.inf]))
    assert found.distance == 0.75


def test_fewer_effective_rows_make_the_same_distance_less_significant() -> None:
    rng = np.random.default_rng(0)
    first, second = np.sort(rng.normal(size=500)), np.sort(rng.normal(0.3, size=500))
    assert distance.ks(first, second).p_value < 1e-3
    assert distance.ks(first, second, rows=(50.0, 50.0)).p_value > 0.05


@pytest.mark.parametrize(("alpha", "rows"), [(0.05, 400), (0.001, 1_000)])
def test_a_minimum_detectable_shift_is_found_four_times_in_five(alpha: float, rows: int) -> None:
    rng = np.random.default_rng(1)
    least = distance.ks_minimum_detectable(alpha, 0.0, rows * 20_000 / (rows + 20_000))
    shift = 2 * stats.norm.ppf((1 + least) / 2)
    first = np.sort(rng.normal(size=20_000))
    found = [
        distance.ks(first, np.sort(rng.normal(shift, size=rows))).p_value <= alpha
        for _ in range(200)
    ]
    assert 0.75 < np.mean(found) < 0.97


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.6, 0.3, 0.1)])
def test_a_minimum_detectable_move_of_a_share_is_found_four_times_in_five(
    shares: tuple[float, ...],
) -> None:
    rng = np.random.default_rng(2)
    counts = (np.array(shares) * 20_000).astype(int)
    least = distance.chi2_minimum_detectable(0.01, 0.0, counts, 800 * 20_000 / 20_800)
    widest = int(np.argmax([p * (1 - p) for p in shares]))
    moved = np.array(shares) * (1 - least / (1 - shares[widest]))
    moved[widest] = shares[widest] + least
    found = [
        distance.chi2(counts, rng.multinomial(800, moved / moved.sum())).p_value <= 0.01
        for _ in range(300)
    ]
    assert 0.7 < np.mean(found) < 0.9


@pytest.mark.parametrize("draw", ["normal", "gumbel", "uniform"])
def test_how_far_values_moved_is_scipys_wasserstein_distance(draw: str) -> None:
    rng = np.random.default_rng(3)
    first = np.sort(getattr(rng, draw)(size=30_000))
    second = np.sort(getattr(rng, draw)(size=4_000) * 1.2 + 0.3)
    theirs = stats.wasserstein_distance(first, second) / first.std()
    moved = distance.wasserstein(first, second, deviation=first.std())
    assert moved == pytest.approx(theirs, rel=0.01)


def test_a_constant_that_moved_is_infinitely_far() -> None:
    ones = np.ones(50)
    assert distance.wasserstein(ones, ones, deviation=0) == 0
    assert distance.wasserstein(ones, ones + 1, deviation=0) == np.inf


def test_the_usual_stability_index_is_that_of_rows_without_a_change() -> None:
    rng = np.random.default_rng(4)
    first = np.sort(rng.normal(size=5_000))
    found = [
        distance.psi(*distance.deciles(first, np.sort(rng.normal(size=500)))) for _ in range(200)
    ]
    assert np.mean([each.value for each in found]) == pytest.approx(found[0].usual, rel=0.15)


def test_the_stability_index_is_its_formula_on_full_cells() -> None:
    first, second = np.array([4_000, 3_000, 3_000]), np.array([500, 300, 200])
    p, q = first / first.sum(), second / second.sum()
    expected = ((q - p) * np.log(q / p)).sum()
    assert distance.psi(first, second).value == pytest.approx(expected, rel=0.01)
    assert np.isfinite(distance.psi(np.array([9, 0]), np.array([0, 9])).value)


def test_deciles_of_few_values_are_fewer() -> None:
    first = np.repeat([1.0, 2.0], 50)
    assert [list(counts) for counts in distance.deciles(first, np.array([0.0, 1.0, 2.0, 5.0]))] == [
        [0, 50, 50], [1, 1, 2],
    ]  # fmt: skip


def test_below_the_threshold_nothing_is_detectable_however_many_rows_there_are() -> None:
    assert 0.1 < distance.ks_minimum_detectable(0.05, 0.1, 1e6) < 0.101
    assert 0.1 < distance.chi2_minimum_detectable(0.05, 0.1, np.array([3, 1]), 1e6) < 0.101
    assert distance.chi2_minimum_detectable(0.05, 0.0, np.array([7, 0]), 100) > 0


@settings(max_examples=50, deadline=None)
@given(counts)
def test_chi_squared_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs).T
    seen = np.array([first, second])[:, first + second > 0]
    if not first.sum() or not second.sum():
        return
    theirs = stats.chi2_contingency(seen, correction=False)
    mine = distance.chi2(first, second)
    assert mine.statistic == pytest.approx(theirs.statistic, rel=TIGHT, abs=TIGHT)
    assert mine.p_value == pytest.approx(theirs.pvalue, rel=1e-9, abs=TIGHT)
    assert mine.variation == pytest.approx(
        np.abs(first / first.sum() - second / second.sum()).sum() / 2, abs=TIGHT
    )


def test_two_proportions_are_chi_squared_of_the_two_by_two_table() -> None:
    found = distance.two_proportion((30, 400), (45, 300))
    theirs = stats.chi2_contingency([[30, 370], [45, 255]], correction=False)
    assert found.z**2 == pytest.approx(theirs.statistic, rel=TIGHT)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.change == pytest.approx(0.075)


def test_equal_shares_of_nothing_or_of_everything_are_no_change() -> None:
    assert distance.two_proportion((0, 10), (0, 20)).p_value == 1.0
    assert distance.two_proportion((10, 10), (20, 20)).change == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_are_those_of_scipy(p_values: list[float]) -> None:
    mine = distance.false_discovery(np.array(p_values))
    assert mine == pytest.approx(stats.false_discovery_control(p_values), abs=TIGHT)


def test_the_drift_check_does_without_scipy_stats() -> None:
    modules = "mlkit.steps.drift.detection, mlkit.flows.monitoring.monitor"
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "scipy.special" in loaded
    assert not {"scipy.stats", "sklearn", "pandas"} & set(loaded)
