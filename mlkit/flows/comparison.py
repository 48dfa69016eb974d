"""Compare two files of anybody's; no project, no record."""

import os
from pathlib import Path

import pyarrow as pa

from mlkit import settings_sources
from mlkit.errors import InvalidInputError
from mlkit.steps import drift, frames
from mlkit.steps.drift import DriftRule
from mlkit.steps.drift_result import DriftResult


def compare_files(
    reference: Path, current: Path, *, time: str | None = None, min_rows: int | None = None
) -> DriftResult:
    """Return the verdict on the rows of ``current``, by the settings' defaults and environment.

    With a ``time`` column the rows of both are taken in its order. Raises InvalidInputError.
    """
    chosen = settings_sources.load(None, os.environ, {"drift.min_rows": min_rows}).drift
    first, second = frames.read_table(reference), frames.read_table(current)
    if time is not None:
        _require(first, time, reference)
        _require(second, time, current)
        first, second = (table.sort_by(time).drop_columns([time]) for table in (first, second))
    rule = DriftRule.from_settings(chosen, ordered=time is not None)
    return drift.compare_tables(first, second, rule)


def _require(table: pa.Table, name: str, file: Path) -> None:
    if name not in table.column_names:
        known = ", ".join(table.column_names[:20])
        raise InvalidInputError(f"{file} has no column '{name}'; it has: {known}")
