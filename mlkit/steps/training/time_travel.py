"""Leakage from the future: features with a time later than that of their row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_SHOWN: Final = 3


def find(
    table: pa.Table, *, time: str | None, features: Sequence[str], views: Mapping[str, str]
) -> list[str]:
    """Return a warning ``time_travel`` for each feature that is later than the time of its row.

    ``views`` names the feature view that a column comes from, if it comes from one.
    """
    if time is None or not pa.types.is_timestamp(table.schema.field(time).type):
        return []
    return list(_walk(table, time, features, views))


def _walk(
    table: pa.Table, time: str, features: Sequence[str], views: Mapping[str, str]
) -> Iterator[str]:
    for name in features:
        if name == time or not pa.types.is_timestamp(table.schema.field(name).type):
            continue
        later = pc.fill_null(pc.greater(table.column(name), table.column(time)), fill_value=False)
        rows = pc.indices_nonzero(later).to_pylist()
        if rows:
            of = f" of the feature view {views[name]}" if name in views else ""
            shown = ", ".join(_row(table, row, name, time) for row in rows[:_SHOWN])
            yield (
                f"time_travel: '{name}'{of} is later than '{time}' in {len(rows):,} of "
                f"{len(table):,} rows ({shown}); is it known before the prediction is needed"
            )


def _row(table: pa.Table, row: int, name: str, time: str) -> str:
    """Return the row, counted from 1, and its two times."""
    late, own = (table.column(column)[row].as_py() for column in (name, time))
    return f"row {row + 1}: {late:%Y-%m-%d %H:%M:%S} after {own:%Y-%m-%d %H:%M:%S}"
