"""Rare labels are compared together, so that a chi-squared test means what it says."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlkit.steps.drift import detection, rare, reference
from mlkit.steps.drift.detection import DriftRule


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=30),
    st.floats(0, 1e4),
)
def test_no_row_is_lost_and_no_rare_cell_is_left(pairs: list[tuple[int, int]], rows: float) -> None:
    first, second = np.array(pairs).T
    before, after = rare.pool(first, second, rows)
    assert (before.sum(), after.sum()) == (first.sum(), second.sum())
    total = (before + after)[:-1]
    assert (total * rows >= 5 * (first + second).sum()).all()


def test_many_rare_labels_in_clumps_are_no_drift_by_themselves() -> None:
    def table(rows: int, seed: int) -> pa.Table:
        values = np.minimum(np.random.default_rng(seed).zipf(1.6, rows // 20), 10**7)
        return pa.table({"sku": np.repeat(values, 20).astype(str)})

    rule, alarms = DriftRule(ordered=True, alpha=0.01), 0
    for trial in range(5):
        known = reference.summarize(table(30_000, 100 + trial), ordered=True)
        for window in range(4):
            found = detection.compare(known, table(10_000, 10 * trial + window), rule)
            alarms += found.verdict == "drift"
    assert alarms <= 1


def test_a_label_that_was_rare_and_is_frequent_is_drift() -> None:
    rng = np.random.default_rng(1)
    first = pa.table({"x": rng.choice(["a", "b", "z"], 5_000, p=[0.6, 0.399, 0.001])})
    second = pa.table({"x": rng.choice(["a", "b", "z"], 1_000, p=[0.5, 0.4, 0.1])})
    assert "x" in detection.compare_tables(first, second, DriftRule()).drifted
