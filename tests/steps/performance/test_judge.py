import numpy as np
import pytest

from mlkit.settings import table
from mlkit.steps.performance import judge, metrics
from mlkit.steps.performance.judge import Holdout, PerformanceRule
from mlkit.steps.performance.metrics import Resampling
from mlkit.steps.performance.rise import Sample


def holdout(mean: float, rows: int = 1_000) -> Holdout:
    sample = Sample(rows=rows, mean=mean, variance=mean**2, effective_rows=float(rows))
    return Holdout(mean, mean, sample)


RULE = PerformanceRule(min_rows=100, tolerance=0.1)
RESAMPLING = Resampling(rounds=200, confidence=0.95, seed=0, block=7)


def losses(mean: float, rows: int = 1_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(mean, rows)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(10.0, "ok"), (10.5, "ok"), (11.2, "ok"), (14.0, "degraded"), (2.0, "ok")]
)
def test_degraded_means_above_what_is_tolerated_by_more_than_chance(
    mean: float, verdict: str
) -> None:
    found = judge.judge(losses(mean), holdout(10.0), RULE, RESAMPLING)
    assert found.verdict == verdict
    assert 11.0 < found.limit < 13.0
    assert (found.value > found.limit) == (verdict == "degraded")
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high


def test_a_rise_within_the_holdouts_own_uncertainty_is_none() -> None:
    found = judge.judge(losses(14.0), holdout(10.0, rows=20), RULE, RESAMPLING)
    assert found.verdict == "ok"
    assert found.limit > 14.0


def test_a_few_huge_losses_hide_no_others_from_a_holdout_without_any_loss() -> None:
    exact = Holdout(0.0, 0.0, Sample(rows=80, mean=0.0, variance=0.0, effective_rows=80.0))
    wrong = np.full(300, 500.0)
    wrong[::30] = 1e6
    found = judge.judge(wrong, exact, RULE, RESAMPLING)
    assert found.verdict == "degraded"
    assert (found.risen, found.typical is not None and found.typical.risen) == (False, True)
    right = np.where(np.arange(300) % 100 == 0, 1e6, 0.0)
    assert judge.judge(right, exact, RULE, RESAMPLING).verdict == "ok"


def test_losses_as_large_as_actuals_may_be_have_a_verdict() -> None:
    huge = np.where(np.arange(300) == 7, 2e100, 1.0)
    assert judge.judge(huge, holdout(1.0), RULE, RESAMPLING).verdict == "ok"
    assert judge.judge(huge + 2e100, holdout(1.0), RULE, RESAMPLING).verdict == "degraded"


def test_a_holdout_worth_a_handful_of_rows_says_nothing() -> None:
    found = judge.judge(losses(50.0), holdout(10.0, rows=7), RULE, RESAMPLING)
    assert found.verdict == "insufficient_data"


def test_the_longer_the_window_the_less_often_may_a_check_be_wrong() -> None:
    chosen = table.Performance()
    alphas = [PerformanceRule.from_settings(chosen, share=s).alpha for s in (1 / 90, 1 / 30, 1)]
    assert alphas == pytest.approx([1 / 90, 1 / 30, 0.05])
    assert PerformanceRule.from_settings(chosen, share=1e-4).alpha == 0.01


@pytest.mark.parametrize("rows", [0, 1, 99])
def test_too_few_actuals_are_never_called_ok(rows: int) -> None:
    found = judge.judge(losses(50.0, rows), holdout(10.0), RULE, RESAMPLING)
    assert found.verdict == "insufficient_data"
    assert (found.value is None) == (rows == 0)


def test_the_interval_of_many_rows_is_that_of_all_of_them() -> None:
    many = losses(10.0, 50_000)
    quick = judge.judge(many, holdout(10.0), RULE, RESAMPLING)
    slow = metrics.mean_interval(many, RESAMPLING)
    assert quick.value == pytest.approx(slow.mean)
    assert quick.low == pytest.approx(slow.low, abs=0.05)
    assert quick.high == pytest.approx(slow.high, abs=0.05)


def test_correlated_losses_make_a_wider_interval_and_a_higher_limit() -> None:
    few = losses(10.0, 50)
    runs = np.repeat(few, 20)
    alike = judge.judge(runs, holdout(10), RULE, RESAMPLING)
    shuffled = np.random.default_rng(0).permutation(runs)
    apart = judge.judge(shuffled, holdout(10), RULE, RESAMPLING)
    assert alike.low is not None
    assert alike.high is not None
    assert apart.low is not None
    assert apart.high is not None
    assert alike.high - alike.low > 2 * (apart.high - apart.low)
    assert alike.limit > apart.limit + 1
