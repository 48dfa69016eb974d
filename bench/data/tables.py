"""The tables that are checked, and their rules in plain words: 20 columns, 3 checks each.

A column is not missing and lies between two bounds; or it is not missing, one of five texts, and
at most eight characters long. ``broken`` has a few cells that break each of them.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = 20
LOW, HIGH = -8.0, 8.0
WORDS = ["north", "south", "east", "west", "centre"]
LONGEST = 8
TABLES = ("numbers", "mixed", "broken")


def kind(table: str, place: int) -> str:
    """Return what a column holds: numbers, or in some tables whole numbers and texts."""
    if table == "numbers":
        return "number"
    return ("number", "number", "integer", "text")[place % 4]


def write(folder: Path, rows: int) -> None:
    """Write each table as a Parquet file."""
    for name in TABLES:
        rng = np.random.default_rng(7)
        columns = {f"c{i}": _column(kind(name, i), rng, rows) for i in range(COLUMNS)}
        if name == "broken":
            columns = {
                key: _with_faults(column, i) for i, (key, column) in enumerate(columns.items())
            }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def _column(what: str, rng: np.random.Generator, rows: int) -> pa.Array:
    if what == "number":
        return pa.array(np.clip(rng.normal(size=rows), LOW, HIGH))
    if what == "integer":
        return pa.array(rng.integers(int(LOW), int(HIGH) + 1, rows))
    return pa.DictionaryArray.from_arrays(rng.integers(0, len(WORDS), rows), WORDS).cast(
        pa.string()
    )


def _with_faults(column: pa.Array, place: int) -> pa.Array:
    """Return the column with a missing value and two that are not allowed, in rows of its own."""
    values = column.to_pylist()
    bad = ["far too long a name", "nowhere"] if isinstance(values[0], str) else [99, -99]
    first = 1_000 + 10 * place
    values[first : first + 3] = [None, *bad]
    return pa.array(values, column.type)
