from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.steps.tables import counted, dtypes, repeats, stored_table
from mlkit.steps.tables.counted import Counted
from mlkit.steps.tables.many_values import ManyValues
from mlkit.steps.tables.tabular import Column


class InParts:
    """A table that gives a few rows at a time."""

    def __init__(self, table: pa.Table, rows: int) -> None:
        self.column_names, self.num_rows = table.column_names, table.num_rows
        self._table, self._rows = table, rows

    def column(self, name: str) -> pa.ChunkedArray:
        return self._table.column(name)

    def select(self, names: list[str]) -> pa.Table:
        return self._table.select(names)

    def parts(self, name: str) -> Iterator[pa.ChunkedArray]:
        for start in range(0, self.num_rows or 1, self._rows):
            yield self._table.column(name).slice(start, self._rows)


_TEXTS = st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh"), st.text(max_size=2)))


def _column(values: Sequence[object], kind: pa.DataType, rows: int) -> Column:
    return Column(InParts(pa.table({"v": pa.array(values, kind)}), rows), "v")


@given(_TEXTS, st.integers(1, 5), st.integers(1, 4))
def test_many_values_are_counted_as_few_are(values: list[str | None], rows: int, most: int) -> None:
    column = _column(values, dtypes.TEXT, rows)
    few, many = Counted(column), ManyValues(column)
    assert (few.rows, few.distinct, few.top(most)) == (many.rows, many.distinct, many.top(most))
    assert few.all("^[a-h]$") == many.all("^[a-h]$")
    assert few.count("^[a-d]$") == many.count("^[a-d]$")


@given(
    st.lists(st.tuples(
        st.sampled_from(["a", "b", None]), st.sampled_from([0.0, -0.0, 1.5, None]),
        st.sampled_from([1, 2, None]),
    )),
    st.integers(1, 3),
    st.integers(1, 4),
)  # fmt: skip
def test_rows_that_repeat_others_are_found_by_hash_as_by_value(
    rows: list[tuple[object, ...]], width: int, size: int
) -> None:
    kinds = (dtypes.TEXT, dtypes.NUMBER, dtypes.INTEGER)
    table = pa.table({
        name: pa.array([row[place] for row in rows], kinds[place])
        for place, name in enumerate("tni"[:width])
    })  # fmt: skip
    columns = [Column(InParts(table, size), name) for name in table.column_names]
    found = []
    for few in (2, 1 << 18):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repeats, "_FEW", few)
            masks = [repeats.together(columns), *(repeats.of(column) for column in columns)]
        found.append([None if mask is None else np.flatnonzero(mask).tolist() for mask in masks])
    assert found[0] == found[1]


def test_a_text_column_with_too_many_values_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "_MOST_BYTES", 1_000)
    monkeypatch.setattr(counted, "_FEW", 100)
    monkeypatch.setattr(stored_table, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(stored_table, "_GROUP_BYTES", 1_000)
    batches = [pa.table({"v": [f"{n} {place}" for place in range(200)]}) for n in range(10)]
    column = Column(stored_table.keep(iter(batches), tmp_path / "rows.parquet", "rows"), "v")
    found = counted.count(column)
    assert isinstance(found, ManyValues)
    assert found.top(2) == (("0 0", 1), ("0 1", 1))
    assert found.distinct == 2_000
