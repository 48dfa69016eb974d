import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.steps.drift import histogram, reference
from mlkit.steps.drift.histogram import Distribution, Pair

NUMBERS = st.lists(st.floats(allow_nan=False, width=64), min_size=30, max_size=60, unique=True)


def _compare(before: pa.Array, now: pa.Array) -> Distribution:
    (profile,) = reference.summarize(pa.table({"x": before})).columns
    return histogram.compare(profile, pa.chunked_array([now]))


def test_shares_are_those_of_numpys_histogram() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.normal(0, 1, 5000), rng.normal(0.5, 1, 300)
    found = _compare(pa.array(before), pa.array(now))
    for values, shares in ((before, found.reference), (now, found.current)):
        counts, _ = np.histogram(values, np.array(found.edges))
        assert shares == pytest.approx(tuple(counts / len(values)))
    outside = [pytest.approx(1 - sum(side)) for side in (found.reference, found.current)]
    assert found.outside == Pair(*outside)
    assert found.reference_quantiles[1] == pytest.approx(np.median(before), abs=0.01)
    assert found.current_quantiles[2] == pytest.approx(np.quantile(now, 0.95), abs=0.05)


def test_the_range_is_shared_and_leaves_out_the_farthest() -> None:
    before = np.append(np.linspace(0, 1, 2000), [1e9])
    found = _compare(pa.array(before), pa.array(np.linspace(2, 3, 500)))
    assert found.edges[0] == pytest.approx(0.005, abs=0.01)
    assert found.edges[-1] == pytest.approx(3.0, abs=0.01)
    assert found.outside is not None
    assert 1 / 2001 < found.outside.reference < 0.01


def test_bins_of_whole_numbers_hold_equally_many_of_them() -> None:
    found = _compare(pa.array(np.arange(620) % 62), pa.array(np.arange(62)))
    widths = np.diff(found.edges)
    assert set(widths) == {3.0}
    assert np.allclose(found.reference[:20], 3 / 62)


def test_a_heavy_tail_is_shown_on_a_logarithmic_scale() -> None:
    rng = np.random.default_rng(0)
    heavy, light = rng.lognormal(0, 3, 2000), rng.exponential(1, 2000)
    found = _compare(pa.array(heavy), pa.array(heavy))
    assert found.logarithmic
    assert max(found.reference) < 0.2
    assert not _compare(pa.array(light), pa.array(light)).logarithmic


@given(before=NUMBERS, now=NUMBERS)
def test_any_numbers_have_a_picture(before: list[float], now: list[float]) -> None:
    found = _compare(pa.array(before), pa.array(now))
    assert len(found.edges) == len(found.reference) + 1 == len(found.current) + 1
    assert found.outside is not None
    for shares, outside in (
        (found.reference, found.outside.reference),
        (found.current, found.outside.current),
    ):
        assert sum(shares) + outside == pytest.approx(1)
        assert min(shares) >= 0


def test_missing_values_are_a_share_of_all_and_no_values_are_no_shares() -> None:
    before = pa.array([float(value) for value in range(90)] + [None] * 10)
    found = _compare(before, pa.array([None] * 4, pa.float64()))
    assert found.missing == Pair(pytest.approx(0.1), 1.0)
    assert (found.current, found.current_quantiles) == ((), ())
    assert sum(found.reference) > 0.9
    nothing = _compare(before, pa.array([], pa.float64()))
    assert (nothing.missing, nothing.present) == (None, Pair(90, 0))


def test_labels_are_the_most_frequent_of_either_side() -> None:
    before = pa.array([f"l{place}" for place in range(20) for _ in range(20 - place)])
    now = pa.array(["l19"] * 60 + ["l0"] * 20 + ["new"] * 20)
    found = _compare(before, now)
    assert [bar.label for bar in found.bars][:2] == ["l19", "l0"]
    assert len(found.bars) == histogram.SHOWN_LABELS
    assert (found.bars[0].reference, found.bars[0].current) == (pytest.approx(1 / 210), 0.6)
    assert found.unseen == Pair(0.0, 0.2)
    assert found.others is not None
    assert found.others.current == 0
    total = sum(bar.reference for bar in found.bars) + found.others.reference
    assert total == pytest.approx(1)


def test_few_numbers_stand_in_their_order() -> None:
    found = _compare(pa.array([10, 9, 2, 2]), pa.array([2, 9, 9, 77]))
    assert found.steps == ("2", "9", "10")
    assert found.reference == (0.5, 0.25, 0.25)
    assert found.current == (0.25, 0.5, 0.0)
    assert found.unseen == Pair(0.0, 0.25)


def test_hours_are_24_shares() -> None:
    times = pa.array([3600 * hour for hour in (0, 0, 5, 23)], pa.timestamp("s", "UTC"))
    found = _compare(times.cast(pa.timestamp("us", "UTC")), times.cast(pa.timestamp("us", "UTC")))
    assert len(found.reference) == 24
    assert (found.reference[0], found.current[5], found.current[23]) == (0.5, 0.25, 0.25)


def test_more_labels_than_are_told_apart_are_others() -> None:
    before = pa.array([f"l{place}" for place in np.random.default_rng(0).integers(0, 400, 20_000)])
    found = _compare(before, before)
    assert found.unseen is not None
    assert found.unseen.reference == pytest.approx(1 - 254 / 400, abs=0.03)
    assert found.unseen.current == pytest.approx(1 - 254 / 400, abs=0.06)
