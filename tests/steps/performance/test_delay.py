"""The delay curve is Kaplan and Meier's; what is ripe by it and what is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlkit.steps.performance import delay

# Times of remission in weeks of the 21 patients who were given 6-MP (Freireich et al. 1963), and
# Kaplan and Meier's estimate for them, an example of many textbooks.
CAME = [6, 6, 6, 7, 10, 13, 16, 22, 23]
OPEN = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
SURVIVAL = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}


def test_the_curve_is_that_of_the_textbook() -> None:
    delays = np.r_[CAME, np.full(len(OPEN), np.nan)].astype(float)
    ages = np.r_[np.full(len(CAME), 40.0), OPEN]
    curve = delay.learn(delays, ages)
    assert curve is not None
    found = dict(zip(curve.delays_s.tolist(), (1 - curve.shares).round(3).tolist(), strict=True))
    kept = {week: share for week, share in SURVIVAL.items() if week <= curve.horizon_s}
    assert found == pytest.approx(kept, abs=0.001)
    assert len(kept) >= 2


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 100), st.booleans()), min_size=40, max_size=80
    )
)
def test_the_curve_is_scipys_and_never_falls(
    rows: list[tuple[float, float, bool]],
) -> None:
    takes, ages, never = (np.array(column) for column in zip(*rows, strict=True))
    came = (takes <= ages) & ~never.astype(bool)
    curve = delay.learn(np.where(came, takes, np.nan), ages)
    if curve is None:
        return
    data = stats.CensoredData.right_censored(np.where(came, takes, ages), ~came)
    theirs = stats.ecdf(data).cdf.evaluate(curve.delays_s)
    assert curve.shares == pytest.approx(theirs, abs=1e-9)
    assert (np.diff(curve.shares) >= 0).all()
    expected = curve.come(np.sort(ages))
    assert ((expected >= 0) & (expected <= 1 + 1e-12)).all()
    assert 0 <= delay.maturity(curve, ages, came) <= 1


def test_rows_that_never_get_an_actual_are_not_waited_for() -> None:
    rng = np.random.default_rng(0)
    ages = rng.uniform(0, 1_000, 5_000)
    takes = np.where(rng.random(5_000) < 0.6, rng.exponential(50, 5_000), np.inf)
    curve = delay.learn(np.where(takes <= ages, takes, np.nan), ages)
    assert curve is not None
    assert curve.settled
    assert curve.ever == pytest.approx(0.6, abs=0.03)
    assert curve.quantile(0.9) == pytest.approx(50 * np.log(10), rel=0.15)
    old = np.full(100, 900.0)
    assert delay.maturity(curve, old, np.arange(100) < 60) > 0.99


def test_what_still_comes_at_the_end_of_what_was_seen_is_not_settled() -> None:
    ages = np.linspace(0, 100, 500)
    curve = delay.learn(np.where(ages > 80, 80.0, np.nan), ages)
    assert curve is not None
    assert not curve.settled


@pytest.mark.parametrize("rows", [0, 5, 19])
def test_a_handful_of_rows_shows_no_curve(rows: int) -> None:
    assert delay.learn(np.ones(rows), np.full(rows, 10.0)) is None


def test_without_any_actual_there_is_no_curve() -> None:
    assert delay.learn(np.full(100, np.nan), np.full(100, 10.0)) is None


def by_outcome(rows: int = 6_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ages, delays, and what is known of a feed where one outcome is known at once.

    Three of ten are known at once, the others after 30 days; the oldest rows are 100 days old.
    """
    rng = np.random.default_rng(1)
    ages = np.sort(rng.uniform(0, 100, rows))[::-1]
    takes = np.where(rng.random(rows) < 0.3, 0.01, 30.0)
    return ages, np.where(takes <= ages, takes, np.nan), takes <= ages


def test_only_the_part_whose_late_outcomes_have_come_is_ripe() -> None:
    ages, delays, known = by_outcome()
    curve = delay.learn(delays, ages)
    assert curve is not None
    count = delay.ripe(curve, ages, known, least=0.95)
    assert 30 <= ages[count - 1] <= 33
    assert delay.ripe(curve, ages, known, least=0.0) == len(ages)
    young = ages < 29
    assert delay.ripe(curve, ages[young], known[young], least=0.95) == 0
    assert delay.maturity(curve, ages[young], known[young]) == pytest.approx(0.3, abs=0.03)


def test_rows_whose_actuals_are_all_there_are_ripe_however_young() -> None:
    """A file comes every night: what it brought need not wait for what it brings the next night."""
    ages = np.linspace(100, 0, 5_001)
    takes = ages % 1  # days, until the next night
    known = ages >= 0.5
    curve = delay.learn(np.where(known, takes, np.nan), ages)
    assert curve is not None
    count = delay.ripe(curve, ages, known, least=0.95)
    assert ages[count] == pytest.approx(0.5, abs=1.6)
    assert count < known.sum() + 100
