"""What each column of a table looks like, in a few numbers that fit into a database row."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps import casts
from mlkit.steps.tabular import Tabular

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TOP = 10
_LONG = 1 << 22  # rows


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column: ``quantiles`` at 5, 25, 50, 75 and 95 %, ``top`` the most frequent values."""

    name: str
    type: str
    missing: int
    distinct: int
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    top: tuple[tuple[str, int], ...] = ()


def describe(table: Tabular) -> list[ColumnProfile]:
    """Return the profile of each column of a canonical table, in its order.

    >>> describe(pa.table({"age": pa.array([3, 5, None])}))[0].mean
    4.0
    """
    return [_column(name, table.column(name)) for name in table.column_names]


def _column(name: str, column: Any) -> ColumnProfile:
    common = {
        "name": name,
        "type": casts.NAMES[column.type],
        "missing": column.null_count,
        "distinct": _distinct(column),
    }
    if column.null_count == len(column):
        return ColumnProfile(**common)
    if column.type in (casts.INTEGER, casts.NUMBER):
        return ColumnProfile(**common, **_number(column))
    if column.type == casts.TIME:
        return ColumnProfile(**common, **_time(column))
    return ColumnProfile(**common, top=_top(column))


def _distinct(column: Any) -> int:
    """Return how many values there are; of a long column by sorting, for a hash table is larger."""
    if len(column) <= _LONG or column.type in (casts.TEXT, casts.BOOLEAN):
        return int(pc.count_distinct(column).as_py())
    plain = column if column.type == casts.NUMBER else column.cast(casts.INTEGER)
    values = plain.drop_null().to_numpy()
    values = values if values.flags.writeable else values.copy()
    values.sort()
    return int(np.count_nonzero(values[1:] != values[:-1])) + min(1, len(values))


def _number(column: Any) -> dict[str, Any]:
    edges = pc.min_max(column)
    return {
        "minimum": edges["min"].as_py(),
        "maximum": edges["max"].as_py(),
        "mean": pc.mean(column).as_py(),
        "std": pc.stddev(column).as_py(),
        "quantiles": tuple(pc.quantile(column, q=list(QUANTILES)).to_pylist()),
    }


def _time(column: Any) -> dict[str, Any]:
    edges = pc.min_max(column)
    return {
        "minimum": edges["min"].as_py().isoformat(),
        "maximum": edges["max"].as_py().isoformat(),
    }


def _top(column: Any) -> tuple[tuple[str, int], ...]:
    counts = pc.value_counts(column.drop_null())
    found = pa.table(
        {"value": counts.field("values").cast(casts.TEXT), "count": counts.field("counts")}
    )
    order = [("count", "descending"), ("value", "ascending")]
    first = found.take(pc.select_k_unstable(found, k=_TOP, sort_keys=order))
    pairs = zip(first["value"].to_pylist(), first["count"].to_pylist(), strict=True)
    return tuple((value[:100], count) for value, count in pairs)
