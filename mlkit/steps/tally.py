"""How often the values of a column come, in some of its rows."""

from collections.abc import Iterator

import pyarrow as pa

from mlkit.steps.counted import Counted
from mlkit.steps.masks import Mask
from mlkit.steps.tabular import Column


def most_frequent(column: Column, rows: Mask, *, most: int = 100) -> dict[str, int]:
    """Return the values in ``rows`` as text with their numbers, the most frequent first.

    >>> most_frequent(Column(pa.table({"a": ["a", "b", "b"]}), "a"), [True, True, True])
    {'b': 2, 'a': 1}
    """
    counted = [(str(value), count) for value, count in Counted(_chosen(column, rows)).pairs()]
    counted.sort(key=lambda pair: (-pair[1], pair[0]))
    return dict(counted[:most])


def _chosen(column: Column, rows: Mask) -> Iterator[pa.ChunkedArray]:
    start = 0
    for part in column:
        yield part.filter(pa.array(rows[start : start + len(part)]))
        start += len(part)
