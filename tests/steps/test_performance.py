import numpy as np
import pytest

from mlkit.steps import metrics, performance
from mlkit.steps.metrics import Resampling
from mlkit.steps.performance import Holdout, PerformanceRule

RULE = PerformanceRule(min_rows=100, tolerance=0.1)
RESAMPLING = Resampling(rounds=200, confidence=0.95, seed=0, block=7)


def losses(mean: float, rows: int = 1_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(mean, rows)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(10.0, "ok"), (10.5, "ok"), (11.2, "ok"), (14.0, "degraded"), (2.0, "ok")]
)
def test_degraded_means_the_whole_interval_lies_above_what_is_tolerated(
    mean: float, verdict: str
) -> None:
    found = performance.judge(losses(mean), Holdout(10.0, 10.4), RULE, RESAMPLING)
    assert found.verdict == verdict
    assert found.limit == pytest.approx(11.0)
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low < found.value < found.high


def test_a_rise_within_the_holdouts_own_uncertainty_is_none() -> None:
    found = performance.judge(losses(14.0), Holdout(10.0, 16.0), RULE, RESAMPLING)
    assert (found.verdict, found.limit) == ("ok", 16.0)


@pytest.mark.parametrize("rows", [0, 1, 99])
def test_too_few_actuals_are_never_called_ok(rows: int) -> None:
    found = performance.judge(losses(50.0, rows), Holdout(10.0, 10.0), RULE, RESAMPLING)
    assert found.verdict == "insufficient_data"
    assert (found.value is None) == (rows == 0)


def test_the_interval_of_many_rows_is_that_of_all_of_them() -> None:
    many = losses(10.0, 50_000)
    quick = performance.judge(many, Holdout(10.0, 10.0), RULE, RESAMPLING)
    slow = metrics.mean_interval(many, RESAMPLING)
    assert quick.value == pytest.approx(slow.mean)
    assert quick.low == pytest.approx(slow.low, abs=0.05)
    assert quick.high == pytest.approx(slow.high, abs=0.05)


def test_correlated_losses_make_a_wider_interval() -> None:
    runs = np.repeat(losses(10.0, 50), 20)
    wide = performance.judge(runs, Holdout(10, 10), RULE, RESAMPLING._replace(block=20))
    narrow = performance.judge(runs, Holdout(10, 10), RULE, RESAMPLING._replace(block=1))
    assert wide.high is not None
    assert wide.low is not None
    assert narrow.high is not None
    assert narrow.low is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
