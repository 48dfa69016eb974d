"""Value counts of a column: fewer values to check than rows."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes
from mlkit.steps.tables.many_values import ManyValues
from mlkit.steps.tables.tabular import Column

_FEW = 1 << 14  # values: fewer are not merged yet
_MOST_BYTES = 8 << 20  # of distinct values merged from several parts


class TooManyError(Exception):
    """There are more distinct values than should be held in memory."""


def count(column: Column) -> "Counted | ManyValues":
    """Return the value counts of a column; a ``ManyValues`` if the cardinality is very high."""
    try:
        return Counted(column)
    except TooManyError:
        return ManyValues(column)


class Counted:
    """The value counts of a column, which comes part by part; missing values are left out.

    Raises TooManyError.

    >>> found = Counted([pa.chunked_array([["a", "b"]]), pa.chunked_array([["b", None]])])
    >>> found.distinct, found.rows, found.top(1)
    (2, 3, (('b', 2),))
    """

    def __init__(self, parts: Iterable[pa.ChunkedArray]) -> None:
        found = _added_up(_of_part(part) for part in parts)
        self.values = found.column("value")
        self._counts = found.column("count")
        self.rows: int = pc.sum(self._counts).as_py() or 0

    @property
    def distinct(self) -> int:
        """The number of distinct values."""
        return len(self.values)

    def pairs(self) -> Iterator[tuple[Any, int]]:
        """Yield each value with its count."""
        return zip(self.values.to_pylist(), self._counts.to_pylist(), strict=True)

    def top(self, most: int) -> tuple[tuple[str, int], ...]:
        """Return the most frequent values as text with their counts, ties in ascending order."""
        found = pa.table({"value": self.values.cast(dtypes.TEXT), "count": self._counts})
        order = [("count", "descending"), ("value", "ascending")]
        first = found.take(pc.select_k_unstable(found, k=most, sort_keys=order))
        return tuple(zip(first["value"].to_pylist(), first["count"].to_pylist(), strict=True))

    def all(self, pattern: str) -> bool:
        """Tell whether there are values and all of them match."""
        matching = pc.match_substring_regex(self.values, pattern)
        return self.rows > 0 and bool(pc.all(matching).as_py())

    def count(self, pattern: str) -> int:
        """Return how many rows match."""
        matching = pc.match_substring_regex(self.values, pattern)
        return pc.sum(self._counts.filter(matching)).as_py() or 0


def _of_part(part: pa.ChunkedArray) -> pa.Table:
    found = pc.value_counts(part)
    values = found.field("values")
    table = pa.table({"value": values, "count": found.field("counts")})
    return table.filter(values.is_valid()) if values.null_count else table


def _added_up(tables: Iterator[pa.Table]) -> pa.Table:
    """Return the merged counts of all tables; merges when the pending rows outgrow the sums."""
    whole = next(tables)
    held: list[pa.Table] = []
    waiting = 0
    for table in tables:
        held.append(table)
        waiting += table.num_rows
        if waiting > max(_FEW, whole.num_rows):
            whole, held, waiting = _sums([whole, *held]), [], 0
            if whole.nbytes > _MOST_BYTES and whole["value"].type == dtypes.TEXT:
                raise TooManyError
    return _sums([whole, *held]) if held else whole


def _sums(tables: list[pa.Table]) -> pa.Table:
    grouped = pa.concat_tables(tables).group_by("value", use_threads=False)
    return grouped.aggregate([("count", "sum")]).rename_columns(["value", "count"])
