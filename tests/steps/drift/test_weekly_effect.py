"""How windows vary where the reference is too short to show it: borrowed, or from week to week."""

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from scipy.signal import lfilter

from mlkit.steps.drift import detection, reference, weekly_effect
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.reference import Reference
from mlkit.steps.drift.weekly_effect import Placed, Positions

ROWS = 2_000
WEEKS = 4


def series(phi: float, rows: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=rows + 500)
    return np.asarray(lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise))[500:]


def positions() -> Positions:
    share = np.tile(np.arange(ROWS) / ROWS, WEEKS)
    return Positions(np.repeat(np.arange(WEEKS), ROWS), share, WEEKS)


def weekly(table: pa.Table) -> Reference:
    known = reference.summarize(table, ordered=True)
    placed = {name: Placed(table[name], positions()) for name in table.column_names}
    found = weekly_effect.weekly(known, placed, WEEKS)
    assert found is not None
    return found


def course() -> np.ndarray:
    """What the hour does to a column, alike in every stretch."""
    return np.tile(np.sin(2 * np.pi * np.arange(ROWS) / ROWS), WEEKS)


@pytest.mark.parametrize(("phi", "least", "most"), [(0.0, 1.0, 1.3), (0.8, 4.0, 9)])
def test_what_the_hour_does_is_no_scatter_and_what_neighbours_share_is(
    phi: float, least: float, most: float
) -> None:
    """The sum of the autocorrelations of 1{x <= median} is 6.0 at 0.8."""
    found = [
        weekly(pa.table({"x": series(phi, WEEKS * ROWS, seed) + course()})) for seed in range(5)
    ]
    assert least <= np.median([known.columns[0].taus[0, -1] for known in found]) <= most


def test_labels_and_gaps_that_come_at_their_hours_do_not_scatter() -> None:
    rng = np.random.default_rng(3)
    often = rng.random(WEEKS * ROWS) < 0.5 + course() / 3
    plan = np.where(often, "pro", "free")
    gappy = [None if gone else 1.5 for gone in often]
    known = weekly(pa.table({"plan": plan, "x": gappy}))
    assert known.columns[0].taus[0].max() < 1.5
    assert known.columns[1].taus[1].max() < 1.5
    blocks = np.repeat(rng.random(WEEKS * ROWS // 50) < 0.5, 50)  # each label for 50 rows
    known = weekly(pa.table({"plan": np.where(blocks, "pro", "free")}))
    assert known.columns[0].taus[0, -1] > 20


def test_a_column_of_one_stretch_alone_is_taken_as_a_series() -> None:
    values = np.where(np.arange(WEEKS * ROWS) < ROWS, series(0.9, WEEKS * ROWS, 4), np.nan)
    known = weekly(pa.table({"x": pa.array(values, from_pandas=True)}))
    assert known.columns[0].taus[0].min() > 5


def test_short_stretches_show_nothing() -> None:
    table = pa.table({"x": np.arange(100.0)})
    known = reference.summarize(table)
    two = Positions(np.repeat([0, 1], 50), np.tile(np.arange(50) / 50, 2), 2)
    assert weekly_effect.weekly(known, {"x": Placed(table["x"], two)}, 2) is None


def test_a_short_reference_borrows_what_a_longer_one_has_seen() -> None:
    longer = reference.summarize(
        pa.table({"x": series(0.8, 30_000, 5), "y": series(0.0, 30_000, 6)}), ordered=True
    )
    longer = msgspec.structs.replace(longer, span_s=30_000.0)
    short = reference.summarize(pa.table({"x": series(0.8, 1_000, 7), "z": np.arange(1_000.0)}))
    short = msgspec.structs.replace(short, span_s=500.0)
    assert weekly_effect.reaches_further(longer, short)
    known = weekly_effect.borrow(short, longer)
    assert [profile.name for profile in known.columns] == ["x"]
    assert np.array_equal(known.columns[0].taus, longer.columns[0].taus)
    assert (known.sizes, known.rate, known.rows) == (longer.sizes, 1.0, 1_000)


@pytest.mark.parametrize(
    ("longer", "known", "further"),
    [
        ({"sizes": (), "span_s": 900.0}, {"sizes": (), "span_s": 1.0}, False),
        ({"sizes": (64,), "span_s": 900.0}, {"sizes": (), "span_s": 1.0}, True),
        ({"sizes": (64,), "span_s": 900.0}, {"sizes": (256,), "span_s": 90.0}, True),
        ({"sizes": (64,), "span_s": None}, {"sizes": (256,), "span_s": 90.0}, False),
    ],
)
def test_which_of_two_references_has_looked_at_larger_windows(
    longer: dict[str, object], known: dict[str, object], further: bool
) -> None:
    make: Callable[..., Reference] = Reference
    first, second = (make(rows=1_000, columns=(), **kinds) for kinds in (longer, known))
    assert weekly_effect.reaches_further(first, second) is further


def test_a_denser_reference_of_the_same_time_is_worth_no_more() -> None:
    """Every fourth row of a series knows as much of its hour as all of them."""
    training = reference.summarize(pa.table({"x": series(0.95, 30_000, 8)}), ordered=True)
    training = msgspec.structs.replace(training, span_s=120_000.0)
    before = pa.table({"x": series(0.95**0.25, 4_000, 9)})
    found = []
    for rows in (before, before.take(np.arange(0, 4_000, 4))):
        known = msgspec.structs.replace(reference.summarize(rows), span_s=4_000.0)
        now = pa.table({"x": series(0.95, 1_000, 10)})
        rule = DriftRule(ordered=True)
        result = detection.compare(weekly_effect.borrow(known, training), now, rule, span_s=4_000.0)
        found.append(result.features[0].minimum_detectable)
    assert found[0] == pytest.approx(found[1], rel=0.02)
