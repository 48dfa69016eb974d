"""Named warnings: anomalies of a table that are no reason to refuse it.

Each is one line ``"<name>: <text>"``; the names are stable, for use in scripts.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.quality import identifier, spelling
from mlkit.steps.quality.profile import ColumnProfile
from mlkit.steps.tables import dtypes, row_hashes
from mlkit.steps.tables.counted import count
from mlkit.steps.tables.revised_table import revise
from mlkit.steps.tables.tabular import Column, Tabular, pieces

_WIDE = 1_000  # columns
_SHOWN = 10  # warnings of one name
_EXACT = 2.0**53  # from 2**53 on a double skips integers
_AT_ONCE = 1 << 16  # rows
_PLAIN_NAME = re.compile(r"^[\w][\w .:/()%-]*$")
_NUMERIC = r"^\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*$"
_LOCAL_DATE = r"^\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([ T].*)?$"


def without_infinities(table: Tabular) -> tuple[Tabular, list[str]]:
    """Return the table with infinities replaced by missing values, and a warning per column.

    No estimator takes an infinity, and a drift test ranks it above everything.
    """
    warnings = []
    infinite = []
    for name in table.column_names:
        count = _infinite(Column(table, name))
        if count:
            infinite.append(name)
            warnings.append(f"infinite: {name!r} has {count} infinite values; kept as missing")
    return revise(table, dict.fromkeys(infinite, _finite)), warnings


def _infinite(column: Column) -> int:
    if column.type != dtypes.NUMBER:
        return 0
    return sum(pc.sum(pc.is_inf(part)).as_py() or 0 for part in column)


def _finite(column: Any) -> Any:
    return pc.if_else(pc.is_inf(column), pa.scalar(None, dtypes.NUMBER), column)


def of_raw_time(table: Tabular, time: str | None) -> list[str]:
    """Return the warnings about a time column that is still text."""
    if time is None or Column(table, time).type != dtypes.TEXT:
        return []
    return [f"{name}: {text}" for name, text in spelling.of_zones(Column(table, time))]


def warnings(
    table: Tabular,
    profile: Sequence[ColumnProfile],
    *,
    target: str | None,
    time: str | None,
    entity: str | None = None,
) -> list[str]:
    """Return the named warnings about a canonical table and its profile."""
    found: list[tuple[str, str]] = []
    for summary in profile:
        is_input = target is not None and summary.name not in (target, time, entity)
        found += _of_column(Column(table, summary.name), summary, is_input=is_input)
    found += _of_rows(table)
    if target is not None:
        found += _of_target(table, target, next(p for p in profile if p.name == target))
    if time is not None and Column(table, time).type == dtypes.DATETIME:
        found += spelling.of_fold(Column(table, time))
    return _shortened(found)


def _of_column(
    column: Column, summary: ColumnProfile, *, is_input: bool
) -> Iterator[tuple[str, str]]:
    name, rows, kind = summary.name, len(column), column.type
    if not _PLAIN_NAME.match(name):
        yield "odd_name", f"{name!r} has characters that SQL, URLs or shells stumble over"
    if summary.missing == rows:
        yield "all_missing_column", f"{name!r} has no values"
        return
    if summary.distinct == 1:
        yield "constant_column", f"{name!r} has one value"
    if kind == dtypes.NUMBER:
        yield from _big_integers(name, summary)
        if any(abs(edge) >= spelling.LONG_NUMBER for edge in _edges(summary)):
            yield from spelling.of_number(column)
    if kind == dtypes.DATETIME:
        yield from spelling.of_time(column)
    if is_input and _identifies(kind, rows, summary):
        yield (
            "identifier_column",
            f"{name!r} differs in every row; a model learns it by heart: leave it out with "
            f"mlkit train --ignore {shlex.quote(name)}",
        )
    if kind == dtypes.TEXT:
        yield from _of_text(column)


def _edges(summary: ColumnProfile) -> list[float]:
    return [e for e in (summary.minimum, summary.maximum) if isinstance(e, int | float)]


def _big_integers(name: str, summary: ColumnProfile) -> Iterator[tuple[str, str]]:
    edges = _edges(summary)
    if any(abs(edge) >= _EXACT for edge in edges):
        limit = "2**63" if any(abs(edge) >= 2.0**63 for edge in edges) else "2**53"
        yield "big_number", f"{name!r} has numbers beyond {limit}; kept to 16 digits, not exactly"


def _identifies(kind: pa.DataType, rows: int, summary: ColumnProfile) -> bool:
    if summary.missing or summary.distinct < rows or rows < identifier.ENOUGH_ROWS:
        return False
    if kind == dtypes.TEXT:
        return True
    if kind != dtypes.INTEGER:
        return False
    span = int(summary.maximum or 0) - int(summary.minimum or 0)
    counts = identifier.is_counter(rows, summary.distinct, span)
    return counts or identifier.is_named_so(summary.name)


def _of_text(column: Column) -> Iterator[tuple[str, str]]:
    values = count(column)
    spelled = list(spelling.of_text(column, values))
    yield from spelled
    if any(warning == "number_as_text" for warning, _ in spelled):
        return
    numeric = values.count(_NUMERIC)
    if values.rows / 2 <= numeric < values.rows:
        row, value = spelling.first(column, _NUMERIC, matching=False)
        yield (
            "mixed_types",
            f"{column.name!r} is text because {values.rows - numeric} of {values.rows} values are "
            f"not numbers, first {value!r} in row {row}",
        )
    elif values.all(_LOCAL_DATE) and not _is_iso(spelling.first(column, "")[1]):
        yield (
            "date_as_text",
            f"{column.name!r} looks like dates but not like 2026-01-31T09:30:00Z; kept as text",
        )


def _is_iso(value: str) -> bool:
    try:
        datetime.fromisoformat(value.strip())
    except ValueError:
        return False
    return True


def _of_rows(table: Tabular) -> Iterator[tuple[str, str]]:
    width = len(table.column_names)
    if width > _WIDE:
        yield "wide_table", f"{width:,} columns; expect long checks and large models"
        return
    hashes = _hashes(table)
    hashes.sort()
    repeated = int((hashes[1:] == hashes[:-1]).sum())
    if repeated:
        yield "duplicated_rows", f"{repeated} of {table.num_rows} rows repeat an earlier one"


def _hashes(table: Tabular) -> np.ndarray:
    """Return a hash of each row; reads a few rows at a time."""
    hashes = np.empty(table.num_rows, dtype=np.uint64)
    start = 0
    for piece in pieces(table, _AT_ONCE):
        end = start + piece.num_rows
        hashes[start:end] = row_hashes.of(piece.columns, piece.num_rows)
        start = end
    return hashes


def _of_target(table: Tabular, target: str, summary: ColumnProfile) -> Iterator[tuple[str, str]]:
    if summary.missing:
        yield "missing_target", f"{summary.missing} rows have no {target!r}"
    if summary.distinct == 1:
        yield "constant_target", f"{target!r} has one value; there is nothing to learn"
        return
    wanted = Column(table, target)
    for name in table.column_names:
        if name != target and _equal(Column(table, name), wanted):
            yield "target_copy", f"{name!r} equals the target {target!r} in every row"


def _equal(column: Column, other: Column) -> bool:
    """Tell whether two columns have the same values, part by part: most differ in the first."""
    return all(
        one.type == same.type and one.equals(same) for one, same in zip(column, other, strict=True)
    )


def _shortened(found: Sequence[tuple[str, str]]) -> list[str]:
    """Return the warnings, at most ten of each name, and the number of the others."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for name, text in found:
        by_name[name].append(text)
    lines = []
    for name, texts in by_name.items():
        lines += [f"{name}: {text}" for text in texts[:_SHOWN]]
        if len(texts) > _SHOWN:
            lines.append(f"{name}: and {len(texts) - _SHOWN:,} more columns")
    return lines
