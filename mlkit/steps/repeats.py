"""Which rows repeat others, by the values of one column or of several together."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps import casts

Mask = np.ndarray  # of truths, one for each row


def of(column: pa.ChunkedArray) -> Mask | None:
    """Return the rows whose value comes more than once, or None; missing ones repeat nothing."""
    return together([column]) if _has_repeats(column) else None


def together(columns: Sequence[pa.ChunkedArray]) -> Mask | None:
    """Return the rows whose values together come more than once, missing ones being alike.

    A row without any value repeats nothing.
    """
    codes = _codes(columns[0])
    for column in columns[1:]:
        more = _codes(column)
        both = codes.astype(np.int64) * (int(more.max(initial=0)) + 1) + more
        codes = np.unique(both, return_inverse=True)[1]
    counts = np.bincount(codes)
    mask: Mask = counts[codes] > 1
    if all(column.null_count for column in columns):
        empty = np.logical_and.reduce([column.is_null().to_numpy() for column in columns])
        mask &= ~empty
    return mask if mask.any() else None


def _has_repeats(column: pa.ChunkedArray) -> bool:
    """Tell whether a value comes twice; two doubles for zero count as two here."""
    if column.type == casts.NUMBER:
        return True  # to be looked at: 0.0 and -0.0 are one value
    distinct: int = pc.count_distinct(column, mode="only_valid").as_py()
    return bool(distinct < len(column) - column.null_count)


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a whole number for each row, the same for equal values; 0 where one is missing."""
    if column.type == casts.NUMBER:
        column = pc.add(column, 0.0)  # turns -0.0 into 0.0
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    indices = encoded.indices.cast(pa.int64())
    return np.asarray(pc.add(indices, 1).fill_null(0).to_numpy(zero_copy_only=False))
