"""Bounds of numbers: programs write their largest one for "missing", which no model can use."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError

INPUT: Final = float(np.finfo(np.float32).max)  # trees convert inputs to float32: more is infinite
TARGET: Final = 1e100  # squares and sums of squares stay finite


class Beyond(NamedTuple):
    """A value beyond its bound: its row, counted from 0, and the number of such rows."""

    row: int
    value: float
    rows: int


def find(values: pa.ChunkedArray, bound: float) -> Beyond | None:
    """Return the first value with ``|value| > bound``, None if there is none.

    Infinity and NaN count as missing.

    >>> find(pa.chunked_array([[1.0, None, -1e300]]), INPUT)
    Beyond(row=2, value=-1e+300, rows=1)
    """
    if not pa.types.is_floating(values.type):
        return None
    size = pc.abs(values)
    large = pc.fill_null(pc.and_(pc.greater(size, bound), pc.is_finite(values)), fill_value=False)
    places = pc.indices_nonzero(large)
    if not len(places):
        return None
    row = places[0].as_py()
    return Beyond(row, values[row].as_py(), len(places))


def refuse(table: pa.Table, names: Iterable[str], bound: float) -> None:
    """Raise InvalidInputError with the first value of these columns beyond ``bound``."""
    for name in names:
        found = find(table.column(name), bound)
        if found is not None:
            more = f" (and {found.rows - 1} more like it)" if found.rows > 1 else ""
            raise InvalidInputError(
                f"column '{name}' has {found.value:.6g} in row {found.row + 1}{more}, and nothing "
                f"can be learned from values beyond {bound:.3g}: leave the cell empty if it means "
                f"'none', or scale or ignore the column"
            )
