"""Capped losses: as scipy winsorises and tests them, quiet where nothing changed."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from mlkit.steps.performance import capped, judge, rise
from mlkit.steps.performance.capped import Capped
from mlkit.steps.performance.judge import Holdout, PerformanceRule
from mlkit.steps.performance.metrics import Resampling

Draw = Callable[[np.random.Generator, int], np.ndarray]
RESAMPLING = Resampling(rounds=2, confidence=0.95, seed=0)


def measured(values: np.ndarray) -> Capped:
    found = capped.measure(values, ordered=False)
    assert found is not None
    return found


def test_the_capped_mean_is_that_of_scipys_winsorised_values() -> None:
    values = np.random.default_rng(0).lognormal(sigma=2, size=1_001)
    found = measured(values)
    expected = stats.mstats.winsorize(values, limits=(None, 100 / 1_001))
    assert found.cap == pytest.approx(float(expected.max()))
    assert found.loss.mean == pytest.approx(float(expected.mean()))
    assert found.loss.variance == pytest.approx(float(expected.var(ddof=1)))


@pytest.mark.parametrize("factor", [1.0, 1.1, 1.3])
def test_the_p_value_is_that_of_scipys_welch_test_of_capped_values(factor: float) -> None:
    rng = np.random.default_rng(1)
    before, after = rng.lognormal(size=800), factor * rng.lognormal(size=800)
    known = measured(before)
    found = capped.remeasure(known, after, ordered=False)
    assert found is not None
    risen = capped.compare(known, found, tolerance=0.0, alpha=0.05)
    sides = np.minimum(after, known.cap), np.minimum(before, known.cap)
    expected = stats.ttest_ind(*sides, equal_var=False, alternative="greater").pvalue
    assert expected * 0.999 <= risen.p_value <= 2 * expected  # the error is the larger of two


@pytest.mark.parametrize("values", [[], [1.0] * 19, [1.0] * 200, [0.0] * 195 + [1.0] * 5])
def test_where_no_loss_is_huge_there_is_nothing_to_cap(values: list[float]) -> None:
    assert capped.measure(np.array(values), ordered=False) is None


def _outliers(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.where(rng.random(rows) < 0.01, 1e6, np.abs(rng.normal(size=rows)))


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, rows: np.abs(rng.normal(size=rows)),
        lambda rng, rows: rng.lognormal(sigma=1.5, size=rows),
        lambda rng, rows: rng.pareto(1.5, size=rows),
        lambda rng, rows: np.abs(rng.standard_cauchy(size=rows)),
        _outliers,
    ],
    ids=["normal", "lognormal", "pareto", "cauchy", "one in a hundred a million"],
)
def test_where_nothing_changed_both_tests_together_alarm_no_more_than_they_may(draw: Draw) -> None:
    rng, alarms, trials = np.random.default_rng(2), 0, 200
    rule = PerformanceRule(min_rows=100, tolerance=0.0)
    for _ in range(trials):
        known = draw(rng, 400)
        sample = rise.measure(known, ordered=False)
        holdout = Holdout(sample.mean, sample.mean, sample, capped.measure(known, ordered=False))
        found = judge.judge(draw(rng, 400), holdout, rule, RESAMPLING)
        alarms += found.verdict == "degraded"
    assert alarms <= stats.binom.ppf(0.99, trials, rule.alpha)


def test_a_few_huge_losses_do_not_hide_that_all_others_grew() -> None:
    rng = np.random.default_rng(3)
    known, later = np.abs(rng.normal(size=300)), 3 * np.abs(rng.normal(size=300))
    later[::100] = 1e6
    sample = rise.measure(known, ordered=False)
    rule = PerformanceRule(min_rows=100, tolerance=0.1, alpha=0.01)
    blind = judge.judge(later, Holdout(sample.mean, sample.mean, sample), rule, RESAMPLING)
    assert blind.verdict == "ok"
    holdout = Holdout(sample.mean, sample.mean, sample, measured(known))
    found = judge.judge(later, holdout, rule, RESAMPLING)
    assert (found.verdict, found.risen) == ("degraded", False)
    assert found.typical is not None
    assert found.typical.value > found.typical.limit > found.typical.reference


@pytest.mark.parametrize(("rows", "verdict"), [(100, "degraded"), (10, "insufficient_data")])
def test_rows_without_a_finite_loss_are_never_ok(rows: int, verdict: str) -> None:
    sample = rise.measure(np.ones(100), ordered=False)
    rule = PerformanceRule(min_rows=50, tolerance=0.1)
    holdout = Holdout(1.0, 1.0, sample)
    found = judge.judge(np.ones(rows), holdout, rule, RESAMPLING, unanswered=1)
    assert found.verdict == verdict
