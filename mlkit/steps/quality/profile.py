"""Column profiles: a few summary statistics that fit into a database row."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes
from mlkit.steps.tables.counted import count
from mlkit.steps.tables.tabular import Column, Tabular

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_TOP = 10


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
    return [_profile(Column(table, name)) for name in table.column_names]


def _profile(column: Column) -> ColumnProfile:
    kind = column.type
    if kind not in (dtypes.TEXT, dtypes.BOOLEAN):
        return _ordered(column, kind)
    counted = count(column)
    top = tuple((value[:100], times) for value, times in counted.top(_TOP))
    return ColumnProfile(
        name=column.name,
        type=dtypes.NAMES[kind],
        missing=len(column) - counted.rows,
        distinct=counted.distinct,
        top=top,
    )


def _ordered(column: Column, kind: pa.DataType) -> ColumnProfile:
    """Return the profile of numbers or times, from the sorted values."""
    whole = column.table.column(column.name)
    common = {"name": column.name, "type": dtypes.NAMES[kind], "missing": whole.null_count}
    if whole.null_count == len(whole):
        return ColumnProfile(**common, distinct=0)
    common |= _time(whole) if kind == dtypes.DATETIME else _number(whole)
    present = len(whole) - whole.null_count
    del whole
    values = _sorted(column, kind, present)
    common["distinct"] = int(np.count_nonzero(values[1:] != values[:-1])) + 1
    if kind != dtypes.DATETIME:
        common["quantiles"] = tuple(_quantile(values, share) for share in QUANTILES)
    return ColumnProfile(**common)


def _number(column: pa.ChunkedArray) -> dict[str, Any]:
    edges = pc.min_max(column)
    return {
        "minimum": edges["min"].as_py(),
        "maximum": edges["max"].as_py(),
        "mean": pc.mean(column).as_py(),
        "std": pc.stddev(column).as_py(),
    }


def _time(column: pa.ChunkedArray) -> dict[str, Any]:
    edges = pc.min_max(column)
    return {
        "minimum": edges["min"].as_py().isoformat(),
        "maximum": edges["max"].as_py().isoformat(),
    }


def _sorted(column: Column, kind: pa.DataType, present: int) -> np.ndarray:
    """Return the ``present`` values sorted, which counts distinct ones faster than a hash table."""
    values = np.empty(present, dtype=np.float64 if kind == dtypes.NUMBER else np.int64)
    end = 0
    for part in column:
        found = (part.cast(dtypes.INTEGER) if kind == dtypes.DATETIME else part).drop_null()
        values[end : end + len(found)] = found.to_numpy()
        end += len(found)
    values.sort()
    return values


def _quantile(values: np.ndarray, share: float) -> float:
    """Return a quantile of sorted values, interpolated linearly like ``pc.quantile``.

    >>> _quantile(np.array([1, 2]), 0.25)
    1.25
    """
    place = (len(values) - 1) * share
    below = int(place)
    beyond = place - below
    if not beyond:
        return float(values[below])
    return beyond * float(values[below + 1]) + (1 - beyond) * float(values[below])
