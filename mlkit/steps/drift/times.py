"""Times as numbers that can drift: how long ago they were, and how far apart they are.

Calendar time always passes, so the times themselves cannot.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes

MOMENT: Final = "moment(row)"
"""The column of a table that says when each of its rows was; made by ``stamp``."""

_MICROS_PER_DAY: Final = 86_400_000_000
_GROWS: Final = 0.95  # of the steps of a series of events lead forward


def stamp(table: pa.Table, name: str | None) -> pa.Table:
    """Return ``table`` with column ``name`` as the time of each row, if it holds times."""
    if name is None or table.schema.field(name).type != dtypes.DATETIME:
        return table
    return table.append_column(MOMENT, table.column(name))


def moments(table: Any) -> Any | None:
    """Return when each row was, or None if that is not known."""
    return table.column(MOMENT) if MOMENT in table.column_names else None


def ages(column: Any, moments: Any) -> Any:
    """Return the days from each time to the moment of its row, null where there is none."""
    wide = [part.cast(pa.int64()) for part in (moments, column)]
    return pc.divide(pc.subtract(*wide).cast(dtypes.NUMBER), float(_MICROS_PER_DAY))


def rate(rows: int, span_s: float | None) -> float | None:
    """Return how many rows came in a second, None without rows or if their time is not known."""
    return rows / span_s if rows and span_s else None


def gaps(column: Any) -> Any:
    """Return the seconds from each time to the next that there is, in row order."""
    steps = np.diff(_micros(column)) / 1e6
    return pa.chunked_array([pa.array(steps, dtypes.NUMBER)])


def grows(column: Any) -> bool:
    """Tell whether the times, in row order, are those of events, one after the other."""
    steps = np.diff(_micros(column))
    return len(steps) > 0 and float((steps >= 0).mean()) >= _GROWS


def _micros(column: Any) -> np.ndarray:
    found: np.ndarray = column.drop_null().cast(pa.int64()).to_numpy()
    return found
