"""Value counts of a column in some of its rows."""

from mlkit.steps.tables.counted import Counted, count
from mlkit.steps.tables.kept_rows import KeptRows
from mlkit.steps.tables.tabular import Column, Mask

_MOST = 100


def most_frequent(column: Column, rows: Mask) -> dict[str, int]:
    """Return the values in ``rows`` as text with their counts, the most frequent first.

    >>> import numpy as np
    >>> import pyarrow as pa
    >>> most_frequent(Column(pa.table({"a": ["a", "b", "b"]}), "a"), np.array([True, True, True]))
    {'b': 2, 'a': 1}
    """
    found = count(Column(KeptRows(column.table, rows), column.name))
    if not isinstance(found, Counted):
        return dict(found.top(_MOST))
    counted = [(str(value), times) for value, times in found.pairs()]
    counted.sort(key=lambda pair: (-pair[1], pair[0]))
    return dict(counted[:_MOST])
