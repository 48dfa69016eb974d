"""A rise is told from chance: by Welch's test, with the rows that the samples are worth."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from mlkit.steps.performance import rise
from mlkit.steps.performance.rise import Sample

numbers = st.floats(0.01, 1e3)
samples = st.builds(
    lambda rows, mean, variance: Sample(
        rows=rows, mean=mean, variance=variance, effective_rows=rows / 2
    ),
    st.integers(20, 10**6), numbers, numbers,
)  # fmt: skip


def autoregressive(phi: float, rows: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(size=rows + 300)
    return np.asarray(lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise))[300:]


def test_of_independent_rows_it_is_welchs_test() -> None:
    rng = np.random.default_rng(0)
    known, found = rng.normal(0, 1, 400), rng.normal(0.1, 2, 300)
    ours = rise.compare(
        rise.measure(known, ordered=False), rise.measure(found, ordered=False), tolerated=0.0,
        alpha=0.05,
    )  # fmt: skip
    theirs = stats.ttest_ind(found, known, equal_var=False, alternative="greater")
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6)


@given(known=samples, found=samples, tolerated=st.floats(0, 100))
def test_the_p_value_is_below_alpha_exactly_beyond_the_limit(
    known: Sample, found: Sample, tolerated: float
) -> None:
    risen = rise.compare(known, found, tolerated=tolerated, alpha=0.05)
    assert (risen.p_value < 0.05) == (found.mean > risen.limit) or found.mean == pytest.approx(
        risen.limit
    )
    assert risen.limit >= known.mean + tolerated


@given(samples)
def test_nothing_has_risen_above_itself(sample: Sample) -> None:
    assert rise.compare(sample, sample, tolerated=0.0, alpha=0.05).p_value == pytest.approx(0.5)


def test_the_interval_is_students() -> None:
    values = np.random.default_rng(1).exponential(size=40)
    low, high = rise.interval(rise.measure(values, ordered=False), 0.95)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize(("phi", "tau"), [(0.0, 1.0), (0.8, 9.0), (0.95, 39.0)])
def test_rows_are_worth_what_theory_says(phi: float, tau: float) -> None:
    values = autoregressive(phi, 20_000, np.random.default_rng(2))
    found = rise.measure(values, ordered=True)
    assert found.rows / found.effective_rows == pytest.approx(tau, rel=0.3)


def test_a_sudden_change_does_not_make_rows_look_alike() -> None:
    values = np.random.default_rng(3).exponential(size=1_000)
    values[500:] += 5
    assert rise.measure(values, ordered=True).effective_rows > 500


def test_a_small_sample_is_worth_no_more_of_its_rows_than_a_large_one() -> None:
    small = Sample(rows=80, mean=0.0, variance=0.0, effective_rows=80)
    large = Sample(rows=800, mean=0.2, variance=0.16, effective_rows=40)
    assert not rise.are_enough(small, large)
    assert rise.compare(small, large, tolerated=0.0, alpha=0.05).p_value == 1.0


def test_a_step_without_any_scatter_is_seen() -> None:
    flat = Sample(rows=100, mean=1.0, variance=0.0, effective_rows=100)
    higher = Sample(rows=100, mean=2.0, variance=0.0, effective_rows=100)
    assert rise.compare(flat, higher, tolerated=0.1, alpha=0.05).p_value < 1e-9
    assert rise.compare(flat, flat, tolerated=0.1, alpha=0.05).p_value == 1.0


def test_a_sample_is_stored_under_the_names_of_older_releases() -> None:
    found = Sample(rows=9, mean=1.0, variance=4.0, effective_rows=3.0)
    stored = msgspec.to_builtins(found)
    assert stored == {"rows": 9, "mean": 1.0, "variance": 4.0, "worth": 3.0}
    assert msgspec.convert(stored, Sample) == found
