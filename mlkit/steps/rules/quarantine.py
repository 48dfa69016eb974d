"""Separate the failing rows of a table from the others, each with its reasons."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from mlkit.steps.rules.rule_failure import RuleFailure
from mlkit.steps.tables.kept_rows import KeptRows
from mlkit.steps.tables.tabular import Column, Mask, Tabular

ROW: Final = "_row"
REASONS: Final = "_reasons"
MOST_ROWS: Final = 100_000
_MOST_CELLS: Final = 5_000_000


def failing(found: Sequence[RuleFailure], rows: int) -> Mask | None:
    """Return the rows that break a rule of level ``error``, or None if there are none."""
    masks = [one.rows for one in found if one.rows is not None and one.refuses]
    if not masks:
        return None
    mask = np.zeros(rows, dtype=bool)
    for failing_rows in masks:
        mask |= failing_rows
    return mask


def apart(table: Tabular, found: Sequence[RuleFailure], mask: Mask) -> pa.Table:
    """Return the first failing rows with their numbers in ``table`` (from 1) and their reasons.

    At most 100,000, and fewer of a very wide table.
    """
    most = min(MOST_ROWS, max(1, _MOST_CELLS // max(1, len(table.column_names))))
    places = np.flatnonzero(mask)[:most]
    columns = {name: _taken(Column(table, name), places) for name in table.column_names}
    return pa.table({ROW: places + 1, REASONS: _reasons(found, places), **columns})


def _taken(column: Column, places: np.ndarray) -> pa.ChunkedArray:
    """Return the values at ``places``, which are sorted."""
    start = 0
    taken: list[pa.ChunkedArray] = []
    for part in column:
        first, end = np.searchsorted(places, [start, start + len(part)])
        taken.append(part.take(pa.array(places[first:end] - start)))
        start += len(part)
    return pa.chunked_array([chunk for part in taken for chunk in part.chunks], taken[0].type)


def rest(table: Tabular, mask: Mask) -> Tabular:
    """Return the rows that pass."""
    return KeptRows(table, ~mask)


def to_csv(rows: pa.Table) -> bytes:
    """Return the rows as a CSV file."""
    stream = io.BytesIO()
    pcsv.write_csv(rows, stream)
    return stream.getvalue()


def _reasons(found: Sequence[RuleFailure], places: np.ndarray) -> list[str]:
    reasons: list[list[str]] = [[] for _ in places]
    for failure in found:
        if failure.rows is None or not failure.refuses:
            continue
        for place in np.flatnonzero(failure.rows[places]):
            reasons[place].append(f"{', '.join(failure.columns)}: {failure.rule.label[:200]}")
    return ["; ".join(one) for one in reasons]
