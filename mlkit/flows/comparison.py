"""Compare two files of anybody's; no project, no record."""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from mlkit import settings_sources
from mlkit.errors import InvalidInputError
from mlkit.steps import drift, frames, times
from mlkit.steps.drift import DriftRule
from mlkit.steps.drift_result import DriftResult

Report = Callable[[str], None]


def compare_files(
    reference: Path,
    current: Path,
    *,
    time: str | None = None,
    overrides: Mapping[str, object] = MappingProxyType({}),
    progress: Report | None = None,
) -> DriftResult:
    """Return the verdict on the rows of ``current``, by the settings' defaults and environment.

    ``overrides`` are settings that go before both. With a ``time`` column the rows of both are
    taken in its order. Raises InvalidInputError.
    """
    settings = settings_sources.load(None, os.environ, overrides)
    first, second = frames.read_table(reference), frames.read_table(current)
    spans_s: tuple[float | None, float | None] = (None, None)
    if time is not None:
        _require(first, time, reference)
        _require(second, time, current)
        spans_s = _span_s(first, time), _span_s(second, time)
        first, second = (_in_order(table, time) for table in (first, second))
    rule = DriftRule.from_settings(settings.drift, ordered=time is not None)
    result = drift.compare_tables(first, second, rule, spans_s=spans_s)
    if not settings.drift.joint:
        return result
    from mlkit.flows import joint_drift  # scikit-learn, which the margins do without

    how = joint_drift.How(rule, spans_s, settings.train.seed, progress or _silent)
    return joint_drift.of_tables(first, second, result, how)


def _in_order(table: pa.Table, name: str) -> pa.Table:
    """Return the rows in order of column ``name``, which is no feature but their time."""
    return times.stamp(table.sort_by(name), name).drop_columns([name])


def _span_s(table: pa.Table, name: str) -> float | None:
    """Return the seconds from the first row to the last; of a time that is a number, its units."""
    extremes = pc.min_max(table.column(name)).as_py()
    if extremes["max"] is None or isinstance(extremes["max"], str):
        return None
    spanned = extremes["max"] - extremes["min"]
    return float(spanned.total_seconds() if isinstance(spanned, timedelta) else spanned)


def _require(table: pa.Table, name: str, file: Path) -> None:
    if name not in table.column_names:
        known = ", ".join(table.column_names[:20])
        raise InvalidInputError(f"{file} has no column '{name}'; it has: {known}")


def _silent(_message: str) -> None:
    """Report nothing."""
