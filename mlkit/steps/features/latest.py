"""The latest values of each entity, for the online store."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes

_encode_lines = msgspec.json.Encoder().encode_lines


class Latest(NamedTuple):
    """Entities (as text), times (microseconds since 1970) and values (one JSON array each).

    ``next_us`` is the first future event, which does not count yet.
    """

    entities: list[str]
    event_us: list[int]
    data: list[str]
    next_us: int | None


def latest(table: pa.Table, now_us: int, ttl_us: int | None) -> Latest:
    """Return the newest row of each entity up to now, if it is younger than ``ttl_us``.

    ``table`` has entity, time and features. Of several rows with the same time the last one counts.
    Events in the future are ignored, as in a point-in-time join.

    >>> rows = {"id": [7, 7, 8], "at": pa.array([1, 2, 9], dtypes.DATETIME), "x": [1.5, None, 3.0]}
    >>> latest(pa.table(rows), now_us=5, ttl_us=None)
    Latest(entities=['7'], event_us=[2], data=['[null]'], next_us=9)
    """
    entity, time, *columns = table.column_names
    event_us = np.asarray(_whole(table.column(time)).cast(pa.int64()))
    later = event_us[event_us > now_us]
    counts = event_us <= now_us
    if ttl_us is not None:
        counts &= now_us - event_us < ttl_us
    rows = np.flatnonzero(counts)
    codes = np.asarray(_whole(table.column(entity).dictionary_encode()).indices)[rows]
    order = np.lexsort((event_us[rows], codes))  # stable: equal times keep the order of rows
    ends = np.flatnonzero(np.diff(codes[order], append=-1))
    places = rows[order[ends]]
    names = _whole(table.column(entity)).take(pa.array(places)).cast(dtypes.TEXT)
    by_name = pc.sort_indices(names)  # inserts in index order are twice as fast
    places = places[np.asarray(by_name)]
    found = table.select(columns).take(pa.array(places))
    return Latest(
        entities=names.take(by_name).to_pylist(),
        event_us=event_us[places].tolist(),
        data=lines(found),
        next_us=int(later.min()) if len(later) else None,
    )


def lines(features: pa.Table) -> list[str]:
    """Return each row as a JSON array; a time is text such as ``2026-01-01T00:00:00Z``.

    >>> lines(pa.table({"x": [1.0, None], "y": ["a", "b"]}))
    ['[1.0,"a"]', '[null,"b"]']
    """
    if not features.num_rows:
        return []
    columns = [_values(column) for column in features.columns]
    return _encode_lines(zip(*columns, strict=True)).decode().split("\n")[:-1]


def _values(column: Any) -> list[Any]:
    if column.type == dtypes.DATETIME:
        return [text and f"{text}Z" for text in _iso(column).to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def _iso(column: Any) -> Any:
    """Return times as ISO 8601 without zone, with fractions of a second only if non-zero."""
    text = pc.strftime(column.cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%S")
    return pc.replace_substring_regex(text, r"\.0+$", "")


def _whole(column: Any) -> Any:
    done = column.combine_chunks()
    return done.combine_chunks() if isinstance(done, pa.ChunkedArray) else done
