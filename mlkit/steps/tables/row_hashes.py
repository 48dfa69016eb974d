"""Row hashes, equal for equal values, so that rows can be compared by sorting."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes

_ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)  # to mix the hashes of columns


def of(columns: Iterable[pa.ChunkedArray], rows: int) -> np.ndarray:
    """Return the hashes, of shape (rows,), of the values of ``columns``; missing ones are equal."""
    hashes = np.zeros(rows, dtype=np.uint64)
    for column in columns:
        hashes *= _ODD
        hashes ^= _of_values(column.combine_chunks())
        hashes ^= hashes >> _HALF
    return hashes


def among(hashes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the mask of ``own`` that are in ``hashes``, which are sorted."""
    if not len(hashes):
        return np.zeros(len(own), dtype=bool)
    places = np.minimum(np.searchsorted(hashes, own), len(hashes) - 1)
    found: np.ndarray = hashes[places] == own
    return found


def _of_values(values: pa.Array) -> np.ndarray:
    from pandas.util import hash_array, hash_pandas_object  # slow to import

    if values.type == dtypes.TEXT:
        hashed: np.ndarray = hash_pandas_object(values.to_pandas(), index=False).to_numpy()
        return hashed
    if values.type == dtypes.NUMBER:
        return hash_array(values.to_numpy(zero_copy_only=False))
    whole = values.cast(dtypes.INTEGER)
    hashed = hash_array(pc.fill_null(whole, 0).to_numpy())
    if whole.null_count:
        hashed[pc.is_null(whole).to_numpy(zero_copy_only=False)] = _ODD
    return hashed
