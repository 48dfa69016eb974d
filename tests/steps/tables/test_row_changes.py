"""Rows that came, went and changed, against a comparison row by row."""

from collections import Counter
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlkit.steps.tables import row_changes

FLOAT = pa.float64()
ROW = st.tuples(
    st.integers(0, 6), st.sampled_from(["a", "b", None]), st.sampled_from([1.5, 2.5, None])
)


def _table(rows: list[Any]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    types = (pa.int64(), pa.string(), pa.float64())
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, types, strict=True)]
    return pa.table(dict(zip(("id", "plan", "spend"), arrays, strict=True)))


@given(st.lists(ROW, max_size=12), st.lists(ROW, max_size=12))
def test_by_key_it_is_what_a_loop_over_the_keys_finds(old: list[Any], new: list[Any]) -> None:
    found = row_changes.compare(_table(old), _table(new), key=["id"])
    counts = Counter(r[0] for r in old), Counter(r[0] for r in new)
    keys = set(counts[0]) | set(counts[1])
    twice = {key for key in keys if max(c[key] for c in counts) > 1}
    first, second = ({r[0]: r for r in rows if r[0] not in twice} for rows in (old, new))
    assert found.added == len(second.keys() - first.keys())
    assert found.removed == len(first.keys() - second.keys())
    both = first.keys() & second.keys()
    assert found.changed == sum(first[key] != second[key] for key in both)
    assert found.same == sum(first[key] == second[key] for key in both)
    assert found.repeated == sum(c[key] for c in counts for key in twice)
    by_column = {one.column: one.rows for one in found.columns}
    for place, name in ((1, "plan"), (2, "spend")):
        differ = sum(first[key][place] != second[key][place] for key in both)
        assert by_column.get(name, 0) == differ


@given(st.lists(ROW, max_size=12), st.lists(ROW, max_size=12))
def test_without_a_key_it_is_the_difference_of_two_bags(old: list[Any], new: list[Any]) -> None:
    found = row_changes.compare(_table(old), _table(new), key=[])
    assert found.same == (Counter(old) & Counter(new)).total()
    assert found.added == (Counter(new) - Counter(old)).total()
    assert found.removed == (Counter(old) - Counter(new)).total()


def test_a_column_that_changed_its_type_is_compared_by_value() -> None:
    old = pa.table({"id": ["a", "b"], "x": [1, 2]})
    new = pa.table({"id": ["a", "b"], "x": [1.0, 2.5]})
    found = row_changes.compare(old, new, key=["id"])
    assert (found.same, found.changed) == (1, 1)
    assert found.examples == {"changed": (("b",),)}


@given(
    st.lists(st.integers(2**53 - 2, 2**53 + 3), min_size=1, max_size=6),
    st.lists(st.sampled_from([2.0**53, 2.0**53 + 2, 0.5, 1e300, float("inf")]), max_size=6),
)
def test_integers_that_no_float_holds_are_other_values(old: list[int], new: list[float]) -> None:
    one, other = pa.table({"x": pa.array(old, pa.int64())}), pa.table({"x": pa.array(new, FLOAT)})
    found = row_changes.compare(one, other, key=[])
    assert found.same == (Counter(old) & Counter(new)).total()
    found = row_changes.compare(one, other, key=["x"])
    once = [v for v in set(old) & set(new) if old.count(v) == new.count(v) == 1]
    assert found.same == len(once)
    least = min(len(old), len(new))
    numbered = [t.slice(0, least).append_column("id", pa.array(range(least))) for t in (one, other)]
    pairs = zip(old, new, strict=False)
    assert row_changes.compare(*numbered, key=["id"]).changed == sum(a != b for a, b in pairs)
