"""What an id looks like: a value that only tells rows apart, and grows with them."""

import re
from typing import Any

import pyarrow.compute as pc

from mlkit.steps import casts

ENOUGH_ROWS = 50  # below, all values being different says little
_NAMED_ID = re.compile(r"(^|[_ .-])(id|uuid|guid|key)$|^(id|uuid)[_ .-]|[a-z]Id$")


def is_named_so(name: str) -> bool:
    """Tell whether a column is called an id.

    >>> is_named_so("order_id"), is_named_so("orderId"), is_named_so("paid")
    (True, True, False)
    """
    return bool(_NAMED_ID.search(name))


def is_counter(rows: int, distinct: int, span: int) -> bool:
    """Tell whether whole numbers are all different and lie as dense as a counter's."""
    return ENOUGH_ROWS <= rows == distinct and span < 2 * rows


def grows(name: str, column: Any) -> bool:
    """Tell whether whole numbers are ids, so that the next rows have values never seen before."""
    if column.type != casts.INTEGER:
        return False
    if is_named_so(name):
        return True
    edges = pc.min_max(column)
    low, high = edges["min"].as_py(), edges["max"].as_py()
    rows = len(column)
    if low is None or column.null_count or not is_counter(rows, rows, high - low):
        return False  # most are told by their span alone; counting the different ones is slow
    return is_counter(rows, pc.count_distinct(column).as_py(), high - low)
