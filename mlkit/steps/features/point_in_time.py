"""The point-in-time join: feature values as known at the time of each row, without leakage.

For a row at time t, the value of a view is that of the newest row of the same entity whose time e
has ``t - ttl < e <= t``. Of several rows with that time, the last one counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.provenance import ViewUse
from mlkit.steps.features import output
from mlkit.steps.features.view import microseconds
from mlkit.steps.tables import dtypes, entity_keys

CHUNK_ROWS = 131_072


@dataclass(frozen=True)
class ViewIndex:
    """The rows of one view, indexed for search.

    ``position`` is the sorted key ``(entity code) * (len(times) + 1) + (time rank) + 1``; equal
    ones are in the order of the rows, so that the last one is found. ``place`` maps a position to
    the row of ``features``.
    """

    use: ViewUse
    entities: pa.Array
    times: np.ndarray
    position: np.ndarray
    place: np.ndarray
    event_us: np.ndarray
    features: pa.Table


def index(table: pa.Table, use: ViewUse) -> ViewIndex:
    """Return the rows of a view (entity, time, features; nothing missing in the first two)."""
    entity, time, *_ = table.column_names
    encoded = table.column(entity).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    event_us = _numbers(table.column(time))
    times, rank = np.unique(event_us, return_inverse=True)
    position = encoded.indices.to_numpy().astype(np.int64)
    position *= len(times) + 1
    position += rank + 1
    position, place = _sorted(position)
    return ViewIndex(
        use=use,
        entities=encoded.dictionary,
        times=times,
        position=position,
        place=place,
        event_us=event_us,
        features=table.select(list(use.columns)).combine_chunks(),
    )


def join(chunks: Iterable[pa.Table], views: Sequence[ViewIndex], time: str) -> Iterator[pa.Table]:
    """Yield each chunk of entity rows with the features of all views added, row by row.

    All rows are kept in order. A row without an entity, a time or a value within the ttl gets the
    default of ``on_missing``, else null. Raises InvalidInputError if a view's entity is missing
    from the rows or of another type, or if a column name would be duplicated.
    """
    for chunk in chunks:
        _refuse_collisions(chunk.column_names, views)
        moments = _moments(chunk, time)
        columns = dict(zip(chunk.column_names, chunk.columns, strict=True))
        for view in views:
            rows = find(view, _keys(chunk, view.use), moments)
            columns.update(features_at(view, rows))
        yield pa.table(columns)


def sliced(table: pa.Table, rows: int = CHUNK_ROWS) -> Iterator[pa.Table]:
    """Yield a table in chunks; one without rows is one chunk."""
    for start in range(0, max(table.num_rows, 1), rows):
        yield table.slice(start, rows)


class At(NamedTuple):
    """The newest row of a view at a time (-1: none), and the same if it is within the ttl."""

    row: int
    usable: int


def find(view: ViewIndex, keys: Any, moments: np.ma.MaskedArray) -> np.ndarray:
    """Return for each key and time (microseconds) the joined row of the view, -1 if none."""
    row = _newest(view, keys, moments)
    ttl_us = microseconds(view.use.ttl)
    if ttl_us is None or not len(view.event_us):
        return row
    young = moments.filled(0) - view.event_us[row] < ttl_us
    return np.where(young, row, -1)


def find_at(view: ViewIndex, key: Any, moment_us: int, *, served_us: int) -> At:
    """Return the row of one key at a time; its age is judged at ``served_us``."""
    moments = np.ma.MaskedArray([moment_us], mask=[False])
    row = int(_newest(view, key, moments)[0])
    ttl_us = microseconds(view.use.ttl)
    young = row >= 0 and (ttl_us is None or served_us - int(view.event_us[row]) < ttl_us)
    return At(row, row if young else -1)


def features_at(view: ViewIndex, rows: np.ndarray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield each feature in these rows of the view; for row -1 the missing value."""
    absent = rows < 0
    places = pa.array(rows, mask=absent)
    defaults = view.use.on_missing if isinstance(view.use.on_missing, dict) else {}
    for name in view.use.columns:
        values = view.features.column(name).take(places)
        if defaults.get(name) is not None:
            given = output.default(defaults[name], values.type, name, view.use.name)
            values = pc.if_else(pa.array(absent), given, values)
        yield name, values


def _newest(view: ViewIndex, keys: Any, moments: np.ma.MaskedArray) -> np.ndarray:
    codes = pc.fill_null(pc.index_in(keys, value_set=view.entities), -1)
    code = np.asarray(codes).astype(np.int64)
    if not len(view.position):
        return np.full(len(code), -1)
    width = len(view.times) + 1
    wanted = code * width + _count_until(view.times, moments.filled(0))
    at = _count_until(view.position, wanted) - 1
    found = at.clip(min=0)
    hit = (at >= 0) & (code >= 0) & ~np.ma.getmaskarray(moments)
    hit &= view.position[found] // width == code
    return np.where(hit, view.place[found], -1)


def _sorted(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort stably: return the sorted values and their original positions.

    Sorting ``value * rows + row`` gives both with one plain sort, ten times as fast as a stable one
    (measured on 100,000 rows), as long as 64 bits suffice.
    """
    rows = len(position)
    if rows and int(position.max()) < (1 << 63) // rows - 1:
        both = np.sort(position * rows + np.arange(rows))
        return np.divmod(both, rows)
    place = np.argsort(position, kind="stable")
    return position[place], place


def _count_until(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the number of sorted ``values`` <= each of ``wanted``.

    Searching in sorted order is cache-friendly: a fifth of the time (100,000 rows).
    """
    order = np.argsort(wanted)
    found = np.empty(len(wanted), np.int64)
    found[order] = np.searchsorted(values, wanted[order], side="right")
    return found


def _keys(chunk: pa.Table, use: ViewUse) -> pa.Array:
    if use.entity not in chunk.column_names:
        raise InvalidInputError(
            f"the rows have no column '{use.entity}', which is the entity of feature view "
            f"'{use.name}'; rename the entity in the view, or the column"
        )
    column = chunk.column(use.entity).combine_chunks()
    keys = entity_keys.as_keys(column, use.key)
    if keys is None:
        kind = dtypes.NAMES.get(column.type, str(column.type))
        raise InvalidInputError(
            f"column '{use.entity}' is of type {kind} in the rows and {use.key} in feature view "
            f"'{use.name}'; make them the same"
        )
    return keys


def _moments(chunk: pa.Table, time: str) -> np.ma.MaskedArray:
    column = chunk.column(time)
    if column.type != dtypes.DATETIME:
        raise InvalidInputError(
            f"the time column '{time}' holds no points in time but "
            f"{dtypes.NAMES.get(column.type, str(column.type))}; a point-in-time join needs them"
        )
    missing = np.asarray(column.is_null())
    return np.ma.MaskedArray(_numbers(column), mask=missing)


def _numbers(column: Any) -> np.ndarray:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    numbers: np.ndarray = whole.cast(pa.int64()).fill_null(0).to_numpy()
    return numbers


def _refuse_collisions(names: Sequence[str], views: Sequence[ViewIndex]) -> None:
    owners = dict.fromkeys(names, "the rows")
    for view in views:
        for name in view.use.columns:
            if name in owners:
                raise InvalidInputError(
                    f"column '{name}' comes from {owners[name]} and from feature view "
                    f"'{view.use.name}'; rename it in the view"
                )
            owners[name] = f"feature view '{view.use.name}'"
