"""Value counts, as in ``counted``, of a text column with too many distinct values for memory.

Only a 64-bit hash per row is in memory: n = 30,000,000 distinct values have a collision with a
probability of about n^2 / 2^65 = 1 in 40,000 (birthday problem).
"""

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import row_hashes
from mlkit.steps.tables.tabular import Column


class ManyValues:
    """The values of a text column, read again for each query."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self.rows = sum(len(part) - part.null_count for part in column)

    @cached_property
    def distinct(self) -> int:
        """The number of distinct values."""
        return int(np.count_nonzero(_firsts(self._hashes())))

    def top(self, most: int) -> tuple[tuple[str, int], ...]:
        """Return the most frequent values with their counts, ties in ascending order."""
        hashes = self._hashes()
        firsts = _firsts(hashes)
        self.distinct = int(np.count_nonzero(firsts))
        count = _count_of(hashes, firsts, most)
        often = hashes[_with_count(hashes, firsts, count + 1)]
        alike = None if count == 1 else hashes[_with_count(hashes, firsts, count)]
        del hashes, firsts
        return self._found(often, alike, count, most)

    def all(self, pattern: str) -> bool:
        """Tell whether there are values and all of them match."""
        found = (pc.all(pc.match_substring_regex(part, pattern)).as_py() for part in self._column)
        return self.rows > 0 and False not in found

    def count(self, pattern: str) -> int:
        """Return how many rows match."""
        return sum(
            pc.sum(pc.match_substring_regex(part, pattern)).as_py() or 0 for part in self._column
        )

    def _parts(self) -> Iterator[tuple[pa.ChunkedArray, np.ndarray]]:
        for part in self._column:
            values = part.drop_null()
            yield values, row_hashes.of([values], len(values))

    def _hashes(self) -> np.ndarray:
        """Return the hashes of all values, sorted."""
        hashes = np.empty(self.rows, dtype=np.uint64)
        end = 0
        for _, part in self._parts():
            hashes[end : end + len(part)] = part
            end += len(part)
        hashes.sort()
        return hashes

    def _found(
        self, often: np.ndarray, alike: np.ndarray | None, count: int, most: int
    ) -> tuple[tuple[str, int], ...]:
        """Return the values with the hashes ``often``, then those that occur ``count`` times.

        The latter have the hashes ``alike`` (None: all) and are the first in alphabetical order.
        """
        first: Counter[str] = Counter()
        rest = pa.array([], pa.string())
        for values, hashes in self._parts():
            chosen = row_hashes.among(often, hashes)
            first.update(values.filter(pa.array(chosen)).to_pylist())
            chosen = ~chosen if alike is None else row_hashes.among(alike, hashes) & ~chosen
            rest = _smallest(
                pa.chunked_array([rest, *values.filter(pa.array(chosen)).chunks]), most
            )
        pairs = sorted(first.items(), key=lambda pair: (-pair[1], pair[0]))
        return (*pairs, *((value, count) for value in rest.to_pylist()))[:most]


def _firsts(hashes: np.ndarray) -> np.ndarray:
    """Return the index at which each distinct hash starts."""
    firsts = np.ones(len(hashes), dtype=bool)
    np.not_equal(hashes[1:], hashes[:-1], out=firsts[1:])
    return firsts


def _with_count(hashes: np.ndarray, firsts: np.ndarray, count: int) -> np.ndarray:
    """Return the starts of the hashes that occur at least ``count`` times."""
    last = max(0, len(hashes) - count + 1)
    same = hashes[:last] == hashes[count - 1 :]
    same &= firsts[:last]
    return np.flatnonzero(same)


def _count_of(hashes: np.ndarray, firsts: np.ndarray, most: int) -> int:
    """Return the count of the last of the ``most`` most frequent hashes."""
    low, high = 1, 2
    while len(_with_count(hashes, firsts, high)) >= most:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if len(_with_count(hashes, firsts, middle)) >= most:
            low = middle
        else:
            high = middle
    return low


def _smallest(values: pa.ChunkedArray, most: int) -> Any:
    """Return the first distinct values in alphabetical order."""
    different = pc.unique(values)
    return different.take(pc.array_sort_indices(different)[:most])
