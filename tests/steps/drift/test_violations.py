"""Values never seen before: how many there are by chance, as theory and scipy say."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlkit.steps.drift import detection, reference, violations
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.result import FeatureDrift
from mlkit.steps.drift.violations import Found, Level, Usual

RULE = DriftRule()


def judged(hits: int, of: int, rows: int, **more: float) -> FeatureDrift:
    level = Level(rows, more.get("tau", 1.0), 0.01, 0.01)
    usual = Usual(more.get("share", 0.0), more.get("burst", 1.0))
    return violations.test("range", "x", Found(hits, of, {}), usual, level)


@pytest.mark.parametrize(("hits", "of", "rows"), [(1, 100, 1_000), (7, 500, 2_000), (40, 300, 900)])
def test_the_p_value_is_scipys_negative_binomial_and_no_smaller_than_the_exact_one(
    hits: int, of: int, rows: int
) -> None:
    found = judged(hits, of, rows).p_value
    assert found == pytest.approx(stats.nbinom.sf(hits - 1, 2, rows / (rows + of)), rel=1e-9)
    exact = stats.betabinom.sf(hits - 1, of, 2, rows - 1)
    assert exact <= 1.001 * found
    if hits < 10:
        assert found < 1.1 * exact


def test_values_beyond_the_reference_are_as_frequent_as_the_p_value_says() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(2_000):
        known, new = rng.lognormal(size=300), rng.lognormal(size=600)
        found = violations.out_of_range(np.sort(new), np.sort(known)[[0, -1]])
        p_values.append(1.0 if found is None else judged(found.hits, found.of, 300).p_value)
    for level in (0.2, 0.05, 0.01):
        share = np.mean(np.array(p_values) <= level)
        assert 0.4 * level < share < level + 2.6 * np.sqrt(level / 2_000)


def test_clumps_and_what_is_usual_make_violations_less_surprising() -> None:
    plain = judged(20, 1_000, 10_000).p_value
    assert plain < judged(20, 1_000, 10_000, tau=5).p_value < 0.1
    assert judged(20, 1_000, 10_000, share=0.02).p_value > 0.3
    assert judged(20, 1_000, 10_000, share=0.02).effect == 0
    assert plain < judged(20, 1_000, 10_000, burst=4).p_value


def test_the_minimum_detectable_effect_is_found_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(1)
    least = judged(1, 1_000, 10_000).minimum_detectable
    hits = rng.binomial(1_000, least, size=400)
    found = [judged(int(n), 1_000, 10_000) for n in hits]
    assert 0.7 < np.mean([f.p_value <= 0.01 and f.effect >= 0.01 for f in found]) < 0.95


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 50), st.integers(0, 500), st.integers(1, 500),
    st.floats(1, 1e4), st.floats(0, 1), st.floats(1, 100),
)  # fmt: skip
def test_no_count_breaks_the_test(
    hits: int, others: int, rows: int, tau: float, share: float, burst: float
) -> None:
    found = judged(hits, hits + others, rows, tau=tau, share=share, burst=burst)
    assert 0 <= found.p_value <= 1
    assert 0 <= found.effect <= 1
    assert 0 <= found.minimum_detectable <= 1


def test_a_sentinel_among_the_values_is_named_first() -> None:
    values = np.sort(np.concatenate([np.linspace(0, 1, 500), [-999.0] * 4, [7.0]]))
    found = violations.out_of_range(values, np.array([0.0, 1.0]))
    assert found == (5, 505, {"-999": 4.0, "7": 1.0})
    assert violations.out_of_range(values, np.array([-1e6, 1e6])) is None


def feature(first: pa.Table, second: pa.Table, name: str, **rule: bool) -> FeatureDrift | None:
    result = detection.compare_tables(first, second, DriftRule(**rule))
    return next((f for f in result.features if f.name == name), None)


def test_a_category_never_seen_before_is_named() -> None:
    rng = np.random.default_rng(2)
    first = pa.table({"plan": rng.choice(["a", "b", "c"], 3_000)})
    second = pa.table(
        {"plan": rng.choice(["a", "b", "c", "gold"], 1_000, p=[0.3, 0.3, 0.37, 0.03])}
    )
    found = feature(first, second, "unseen(plan)")
    assert found is not None
    assert (found.kind, found.column, found.drifted) == ("unseen", "plan", True)
    gold = second["plan"].to_pylist().count("gold")
    assert found.examples == {"gold": float(gold)}
    assert found.effect == pytest.approx(gold / 1_000, abs=1e-3)
    assert found.in_examples == f"'gold' ({gold} rows)"


def test_new_labels_are_no_news_where_they_come_all_the_time() -> None:
    rng = np.random.default_rng(3)
    known, *others = (
        np.minimum(rng.zipf(1.5, n), 10**9).astype(str) for n in (9_000, *[3_000] * 9)
    )
    first = reference.summarize(pa.table({"sku": known}))
    (profile,) = first.columns
    assert len(profile.labels) == reference.MAX_LABELS
    assert profile.usual is not None
    for other in others:
        result = detection.compare(first, pa.table({"sku": other}), RULE)
        (found,) = (f for f in result.features if f.kind == "unseen")
        share = np.mean(~np.isin(other, known))
        assert found.statistic == pytest.approx(share * 3_000, abs=2)
        assert profile.usual.share == pytest.approx(share, rel=0.2)
        assert not found.drifted
    strange = np.where(rng.random(3_000) < 0.1, "recalled", others[0])
    (found,) = (
        f for f in detection.compare(first, pa.table({"sku": strange}), RULE).features
        if f.kind == "unseen"
    )  # fmt: skip
    assert found.drifted
    assert next(iter(found.examples)) == "recalled"


def test_labels_that_keep_appearing_in_the_reference_are_usual() -> None:
    codes = np.concatenate([np.arange(4_000) // 40, np.arange(4_000) // 40 + 50])
    plain = violations.usual_unseen(codes, ordered=False)
    assert plain.share < 0.001
    assert violations.usual_unseen(codes, ordered=True).share > 0.2


def test_good_and_turing_know_how_many_new_labels_come() -> None:
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.full(2_000, 0.3))
    codes = rng.choice(2_000, size=3_000, p=shares)
    mass = shares[~np.isin(np.arange(2_000), codes)].sum()
    assert violations.usual_unseen(codes, ordered=False).share == pytest.approx(mass, rel=0.25)


def test_a_series_that_creeps_may_leave_its_range() -> None:
    values = np.arange(1_000) + np.random.default_rng(5).normal(size=1_000) * 5
    assert violations.usual_range(values, ordered=True).share > 0.9
    assert violations.usual_range(values, ordered=False).share == pytest.approx(2 / 1_001)


@pytest.mark.parametrize(
    ("before", "now", "hits"),
    [
        (pa.array([1.5, 2.5]), pa.array(["3.5", "n/a", None]), 1),
        (pa.array([True, False]), pa.array([1, 0, 2]), 1),
        (pa.array(["a", "b"]), pa.array([1, 2, 3]), 0),
        (pa.array(["a", "b"]), pa.array([1.5, None, 3.5]), 2),
        (pa.array([1.5, 2.5]), pa.array([1, 2, 3]), 0),
    ],
)
def test_what_is_of_another_type_is_counted(before: pa.Array, now: pa.Array, hits: int) -> None:
    first = pa.table({"x": pa.chunked_array([before])})
    second = pa.table({"x": pa.chunked_array([now])})
    found = feature(first, second, "type(x)")
    assert (0 if found is None else found.statistic) == hits


def test_a_column_of_another_type_throughout_is_drift_and_not_missing() -> None:
    first = pa.table({"x": np.random.default_rng(6).normal(size=1_000)})
    second = pa.table({"x": ["n/a"] * 500})
    result = detection.compare_tables(first, second, RULE)
    assert result.drifted == ("type(x)",)
    (found,) = result.features
    assert found.examples == {"n/a": 500.0}


def test_a_likeness_of_neighbours_spoils_no_real_violation() -> None:
    """The block that a broken feed leaves in a log is a series of its own, and no excuse."""
    rng = np.random.default_rng(7)
    first = pa.table({"x": rng.normal(size=5_000)})
    broken = rng.normal(size=1_000)
    broken[300:400] = -999.0
    found = feature(first, pa.table({"x": broken}), "range(x)", ordered=True)
    assert found is not None
    assert found.drifted
    unordered = reference.summarize(first)
    result = detection.compare(unordered, pa.table({"x": broken}), DriftRule(ordered=True))
    (found,) = (f for f in result.features if f.kind == "range")
    assert found.examples == {"-999": 100.0}
    assert found.drifted
