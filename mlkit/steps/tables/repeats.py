"""Rows with repeated keys: the values of one column, or of several together."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes, row_hashes
from mlkit.steps.tables.tabular import Column, Mask

_FEW = 1 << 18  # rows whose values fit into memory, with their counts


def of(column: Column) -> Mask | None:
    """Return the mask of rows whose value is repeated, or None; missing values are not repeats."""
    if len(column) > _FEW:
        return _of_many([column])
    values = column.table.column(column.name)
    return _of_few([values]) if _has_repeats(values) else None


def together(columns: Sequence[Column]) -> Mask | None:
    """Return the mask of rows whose combined values are repeated; missing values are equal.

    A row without any value is no repeat.
    """
    if len(columns[0]) > _FEW:
        return _of_many(columns)
    return _of_few([column.table.column(column.name) for column in columns])


def _of_many(columns: Sequence[Column]) -> Mask | None:
    """Compare 64-bit hashes, and values only if the hashes are equal."""
    twice = _hashed_twice(columns)
    if not len(twice):
        return None
    mask = np.concatenate([_among(twice, part) for part in _parts(columns)])
    if mask.sum() > _FEW:
        return mask
    start = 0
    alike: list[list[pa.ChunkedArray]] = []
    for part in _parts(columns):
        chosen = pa.array(mask[start : start + len(part[0])])
        alike.append([values.filter(chosen) for values in part])
        start += len(part[0])
    rows = _of_few([_joined(values) for values in zip(*alike, strict=True)])
    if rows is None:
        return None
    mask[mask] = rows
    return mask


def _parts(columns: Sequence[Column]) -> Iterator[list[pa.ChunkedArray]]:
    """Yield the values of all columns part by part, -0.0 as 0.0."""
    for part in zip(*columns, strict=True):
        yield [pc.add(v, 0.0) if v.type == dtypes.NUMBER else v for v in part]


def _joined(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)


def _hashed_twice(columns: Sequence[Column]) -> np.ndarray:
    """Return the sorted hashes of more than one row with values."""
    hashes = np.empty(len(columns[0]), dtype=np.uint64)
    end = 0
    for part in _parts(columns):
        found = row_hashes.of(part, len(part[0]))
        there = _with_values(part)
        found = found if there is None else found[there]
        hashes[end : end + len(found)] = found
        end += len(found)
    hashes = hashes[:end]
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _among(hashes: np.ndarray, part: Sequence[pa.ChunkedArray]) -> Mask:
    mask = row_hashes.among(hashes, row_hashes.of(part, len(part[0])))
    there = _with_values(part)
    return mask if there is None else mask & there


def _with_values(columns: Sequence[pa.ChunkedArray]) -> Mask | None:
    """Return the mask of rows with a value in some column, or None if all have one."""
    if not all(column.null_count for column in columns):
        return None
    mask: Mask = np.logical_or.reduce([column.is_valid().to_numpy() for column in columns])
    return mask


def _of_few(columns: Sequence[pa.ChunkedArray]) -> Mask | None:
    codes = _codes(columns[0])
    for column in columns[1:]:
        more = _codes(column)
        both = codes.astype(np.int64) * (int(more.max(initial=0)) + 1) + more
        codes = np.unique(both, return_inverse=True)[1]
    counts = np.bincount(codes)
    mask: Mask = counts[codes] > 1
    there = _with_values(columns)
    mask = mask if there is None else mask & there
    return mask if mask.any() else None


def _has_repeats(column: pa.ChunkedArray) -> bool:
    """Tell whether a value is repeated; 0.0 and -0.0 count as two here."""
    if column.type == dtypes.NUMBER:
        return True  # to be compared: 0.0 and -0.0 are equal
    distinct: int = pc.count_distinct(column, mode="only_valid").as_py()
    return bool(distinct < len(column) - column.null_count)


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return an integer code for each row, the same for equal values; 0 for a missing value."""
    if column.type == dtypes.NUMBER:
        column = pc.add(column, 0.0)  # turns -0.0 into 0.0
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    indices = encoded.indices.cast(pa.int64())
    return np.asarray(pc.add(indices, 1).fill_null(0).to_numpy(zero_copy_only=False))
