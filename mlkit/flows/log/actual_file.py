"""Read actuals from a CSV or Parquet file and add them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from mlkit.errors import InvalidInputError
from mlkit.flows.log import actuals
from mlkit.flows.log.actuals import ActualItem, Received
from mlkit.flows.registry import model_files
from mlkit.flows.registry.model_files import Habits
from mlkit.project import Project
from mlkit.provenance import Stated
from mlkit.steps.reading import csv_dialect, csv_ids, csv_values, file_batches, parquet_rows
from mlkit.steps.reading.file_batches import Expected
from mlkit.steps.tables import dtypes

_TYPES = {"prediction_id": dtypes.TEXT, "observed_at": dtypes.DATETIME}
_REQUIRED = ("prediction_id", "actual")
_BATCH_ROWS = 50_000
_PEEKED_ROWS = 1_000
_ANY_BYTES = "latin-1"


def add(
    project: Project,
    file: Path,
    stated: Stated | None = None,
    *,
    correct: bool = False,
    warn: Callable[[str], None] | None = None,
) -> Received:
    """Add the actuals in ``file``: columns prediction_id, actual and, if known, observed_at.

    CSV options that ``stated`` leaves open are those of the model's training data. With
    ``correct``, actuals may replace earlier ones, which stay on record. ``warn`` is called about
    numbers that look like ids. Raises InvalidInputError with the faulty column or row, and
    ConflictError for rows that contradict a recorded actual; then nothing is stored.
    """
    expected = _expected(project, file, stated or Stated())
    said = expected.stated or Stated()
    items: list[ActualItem] = []
    for table in file_batches.read(file, expected, _BATCH_ROWS):
        items += _items(file, table, first_row=len(items))
    if correct:
        items = [structs.replace(item, correct=True) for item in items]
    led: list[str] = []
    number = partial(_number, said, led)
    in_csv = not parquet_rows.is_parquet(file)  # Parquet values are typed, as in JSON
    received = actuals.add(project, items, from_text=in_csv, number=number)
    if led and warn is not None:
        warn(
            f"leading_zero: {len(led):,} actuals are written as ids are, the first is {led[0]!r}, "
            "and were taken as numbers; if they are labels, the target has to be text"
        )
    return received


def _number(said: Stated, led: list[str], text: str) -> float:
    """Parse an actual as a number, and count those with a leading zero."""
    found = csv_values.number(text, decimal=said.decimal or ".", thousands=said.thousands)
    if csv_ids.is_led(text):
        led.append(text)
    return found


def _expected(project: Project, file: Path, given: Stated) -> Expected:
    """Return the CSV types and options for the model that made the first prediction in the file."""
    own = csv_dialect.checked(given)
    if not file.is_file() or parquet_rows.is_parquet(file):
        return Expected(_TYPES, own)
    habits = _habits(project, file, given)
    if habits is None:
        return Expected(_TYPES, own)
    habits = replace(habits, said=structs.replace(habits.said, header=None, names=None))
    stated = model_files.stated(file, given, habits, dict.fromkeys(_REQUIRED))
    if stated.decimal is None:
        stated = structs.replace(stated, decimal=csv_dialect.sniff(file, stated).decimal_point)
        return Expected(_TYPES, stated, usual=habits.usual, numbers=frozenset({"actual"}))
    return Expected(_TYPES, stated)


def _habits(project: Project, file: Path, given: Stated) -> Habits | None:
    peeked = csv_dialect.checked(given.over(Stated(encoding=_ANY_BYTES)))
    try:
        table = next(file_batches.read(file, Expected({}, peeked), _PEEKED_ROWS))
    except InvalidInputError:
        return None  # reading the whole file reports the fault
    if "prediction_id" not in table.column_names:
        return None
    versions = actuals.versions_of(project, table["prediction_id"].drop_null().to_pylist())
    return model_files.of_model(project, versions[0]) if versions else None


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
