"""Detect id columns, by their name and by values that are unique and dense like a counter's."""

import re

import numpy as np
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes
from mlkit.steps.tables.tabular import Column

ENOUGH_ROWS = 50  # with fewer rows unique values are no evidence
_NAMED_ID = re.compile(r"(^|[_ .-])(id|uuid|guid|key|number|no)$|^(id|uuid)[_ .-]|[a-z]Id$")


def is_named_so(name: str) -> bool:
    """Tell whether a column has the name of an id.

    >>> [is_named_so(name) for name in ("order_id", "orderId", "invoice no", "paid", "casino")]
    [True, True, True, False, False]
    """
    return bool(_NAMED_ID.search(name))


def is_counter(rows: int, distinct: int, span: float) -> bool:
    """Tell whether integers are unique and as dense as those of a counter.

    50 random draws from 100 values are all different with a probability of 3e-7.
    """
    return ENOUGH_ROWS <= rows == distinct and span < 2 * rows


def grows(name: str, column: Column) -> bool:
    """Tell whether integers are ids, so that new rows will have unseen values."""
    if column.type != dtypes.INTEGER:
        return False
    if is_named_so(name):
        return True
    edges = [pc.min_max(part) for part in column if part.null_count < len(part)]
    rows = len(column)
    if not edges or any(part.null_count for part in column):
        return False
    low, high = min(e["min"].as_py() for e in edges), max(e["max"].as_py() for e in edges)
    if not is_counter(rows, rows, high - low):
        return False  # the span alone decides most cases
    seen = np.zeros(high - low + 1, dtype=bool)
    for part in column:
        seen[part.to_numpy() - low] = True
    return is_counter(rows, int(seen.sum()), high - low)
