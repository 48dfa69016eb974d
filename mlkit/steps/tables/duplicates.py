"""Duplicate rows, compared value by value; missing values are equal."""

import numpy as np
import pyarrow as pa

_PLACE = "\0place"  # column names of datasets have no NUL


def firsts(table: pa.Table) -> np.ndarray:
    """Return the indexes of the first occurrence of each row, in order.

    >>> firsts(pa.table({"a": [1, 1, None, None, 2], "b": ["x", "x", "y", "y", "x"]})).tolist()
    [0, 2, 4]
    """
    placed = table.append_column(_PLACE, pa.array(np.arange(table.num_rows)))
    grouped = placed.group_by(table.column_names, use_threads=False)
    found = grouped.aggregate([(_PLACE, "min")]).column(f"{_PLACE}_min")
    return np.sort(found.to_numpy())


def contains(whole: pa.Table, part: pa.Table) -> bool:
    """Tell whether every row of ``part`` is in ``whole``; both have the same columns.

    >>> contains(pa.table({"a": [1, 2, 3]}), pa.table({"a": [3, 1]}))
    True
    """
    both = pa.concat_tables([whole, part])
    return bool((firsts(both) < whole.num_rows).all())
