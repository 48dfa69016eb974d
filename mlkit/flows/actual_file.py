"""Read actuals from a CSV or Parquet file and add them."""

from pathlib import Path
from typing import Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.flows import actuals
from mlkit.flows.actuals import ActualItem, Received
from mlkit.project import Project
from mlkit.steps import casts, frames

_TYPES = {"prediction_id": casts.TEXT, "observed_at": casts.TIME}
_REQUIRED = ("prediction_id", "actual")
_BATCH_ROWS = 50_000


def add(project: Project, file: Path, *, correct: bool = False) -> Received:
    """Add the actuals in ``file``: columns prediction_id, actual and, if known, observed_at.

    With ``correct`` they may take the place of others, which stay on record. Raises
    InvalidInputError that names the column or row that is wrong, and ConflictError for rows that
    contradict an actual that is there; then nothing is stored.
    """
    items: list[ActualItem] = []
    for table in frames.open_batches(file, _TYPES, _BATCH_ROWS):
        items += _items(file, table, first_row=len(items))
    if correct:
        items = [msgspec.structs.replace(item, correct=True) for item in items]
    return actuals.add(project, items, from_text=True)


def _items(file: Path, table: Any, *, first_row: int) -> list[ActualItem]:
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise InvalidInputError(
            f"{file} has no column '{missing[0]}'; it needs prediction_id, actual and may have "
            "observed_at"
        )
    names = [name for name in (*_REQUIRED, "observed_at") if name in table.column_names]
    for name in _REQUIRED:
        if table[name].null_count:
            row = first_row + table[name].is_null().index(True).as_py() + 1
            raise InvalidInputError(f"{file}, row {row}: '{name}' is missing; nothing was stored")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [ActualItem(*row) for row in rows]
