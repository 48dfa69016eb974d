"""Rows added, removed and changed between two tables, matched by key or as whole rows."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SHOWN: Final = 5

Key = tuple[Any, ...]


class ColumnChanges(msgspec.Struct, frozen=True):
    """The number of common rows in which a column has changed."""

    column: str
    rows: int


class RowChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Rows matched by ``key``; with an empty key equal rows match and none is changed.

    ``repeated`` counts rows whose key is not unique in a table: they cannot be matched, so they are
    in no other count. Examples are keys.
    """

    key: tuple[str, ...]
    same: int
    added: int
    removed: int
    changed: int = 0
    columns: tuple[ColumnChanges, ...] = ()
    repeated: int = 0
    examples: dict[str, tuple[Key, ...]] = {}


def compare(old: pa.Table, new: pa.Table, *, key: Sequence[str]) -> RowChanges:
    """Return the row changes from ``old`` to ``new``; missing values are equal.

    >>> old = pa.table({"id": [1, 2, 3], "x": [5, 6, 7]})
    >>> new = pa.table({"id": [2, 3, 4], "x": [6, 9, 1]})
    >>> found = compare(old, new, key=["id"])
    >>> found.same, found.added, found.removed, found.changed
    (1, 1, 1, 1)
    """
    common = [name for name in old.column_names if name in new.column_names]
    if key and all(name in common for name in key):
        return _by_key(old, new, tuple(key), [name for name in common if name not in key])
    ids = _ids(old, new, common)
    size = int(ids.max(initial=-1)) + 1
    before, after = (np.bincount(part, minlength=size) for part in np.split(ids, [len(old)]))
    same = int(np.minimum(before, after).sum())
    return RowChanges(key=(), same=same, added=len(new) - same, removed=len(old) - same)


def _by_key(
    old: pa.Table, new: pa.Table, key: tuple[str, ...], others: Sequence[str]
) -> RowChanges:
    ids = _ids(old, new, key)
    size = int(ids.max(initial=-1)) + 1
    first, second = np.split(ids, [len(old)])
    before, after = (np.bincount(part, minlength=size) for part in (first, second))
    single = (before <= 1) & (after <= 1)
    place_old, place_new = (_places(part, size) for part in (first, second))
    both = np.flatnonzero(single & (before == 1) & (after == 1))
    rows = (place_old[both], place_new[both])
    changed = np.zeros(len(both), dtype=bool)
    columns = []
    for name in others:
        differs = _differs(old.column(name), new.column(name), rows)
        changed |= differs
        if differs.any():
            columns.append(ColumnChanges(name, int(differs.sum())))
    came = place_new[single & (before == 0) & (after == 1)]
    went = place_old[single & (before == 1) & (after == 0)]
    examples = {
        "added": _keys(new, key, np.sort(came)),
        "removed": _keys(old, key, np.sort(went)),
        "changed": _keys(new, key, np.sort(rows[1][changed])),
    }
    return RowChanges(
        key=key,
        same=int((~changed).sum()),
        added=len(came),
        removed=len(went),
        changed=int(changed.sum()),
        columns=tuple(sorted(columns, key=lambda one: -one.rows)),
        repeated=int((before[~single] + after[~single]).sum()),
        examples={name: keys for name, keys in examples.items() if keys},
    )


def _places(ids: np.ndarray, size: int) -> np.ndarray:
    """Return the row of each id, one of them if an id is repeated."""
    places = np.zeros(size, dtype=np.int64)
    places[ids] = np.arange(len(ids))
    return places


def _ids(old: pa.Table, new: pa.Table, names: Sequence[str]) -> np.ndarray:
    """Return a code per row of both tables, equal if the columns ``names`` are equal."""
    ids = np.zeros(len(old) + len(new), dtype=np.int64)
    for name in names:
        codes = _codes(old.column(name), new.column(name))
        paired = ids * (int(codes.max(initial=0)) + 1) + codes
        ids = np.unique(paired, return_inverse=True)[1]
    return ids


def _codes(old: pa.ChunkedArray, new: pa.ChunkedArray) -> np.ndarray:
    first, second = _alike(old, new)
    both = pa.chunked_array([*first.chunks, *second.chunks], first.type)
    encoded = both.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices, dtype=np.int64)


def _differs(
    old: pa.ChunkedArray, new: pa.ChunkedArray, rows: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    first, second = _alike(old.take(rows[0]), new.take(rows[1]))
    equal = pc.fill_null(pc.equal(first, second), fill_value=False)
    alike = pc.or_(equal, pc.and_(pc.is_null(first), pc.is_null(second)))
    return ~np.asarray(alike.combine_chunks() if isinstance(alike, pa.ChunkedArray) else alike)


def _alike(old: pa.ChunkedArray, new: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Cast both to one type in which equal values are equal."""
    if old.type == new.type:
        return old, new
    kinds = (old.type, new.type)
    if not all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return old.cast(pa.string()), new.cast(pa.string())
    try:
        return old.cast(pa.float64()), new.cast(pa.float64())
    except pa.ArrowInvalid:  # beyond 2^53 floats skip integers
        return _digits(old), _digits(new)


def _digits(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers as texts, an integer with all digits and no decimal point."""
    if pa.types.is_integer(numbers.type):
        return numbers.cast(pa.string())
    texts = [
        None if n is None else str(int(n)) if n.is_integer() else repr(n)
        for n in numbers.to_pylist()
    ]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _keys(table: pa.Table, key: Sequence[str], rows: np.ndarray) -> tuple[Key, ...]:
    """Return the keys of the first rows."""
    found = table.select(list(key)).take(rows[:_SHOWN])
    return tuple(zip(*(column.to_pylist() for column in found.columns), strict=True))
