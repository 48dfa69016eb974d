"""Named warnings: what is odd about a table but no reason to refuse it.

Each is one line ``"<name>: <text>"``; the names are stable, so that scripts can look for them.
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

from mlkit.steps import casts, identifier, spelling
from mlkit.steps.profile import ColumnProfile
from mlkit.steps.revised_table import revise
from mlkit.steps.tabular import Tabular, pieces

_WIDE = 1_000  # columns
_SHOWN = 10  # warnings of one name
_EXACT = 2.0**53  # from here on a double skips integers
_ODD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)  # to mix the hashes of columns
_AT_ONCE = 1 << 16  # rows
_PLAIN_NAME = re.compile(r"^[\w][\w .:/()%-]*$")
_NUMERIC = r"^\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*$"
_LOCAL_DATE = r"^\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([ T].*)?$"


def without_infinities(table: Tabular) -> tuple[Tabular, list[str]]:
    """Return the table with infinite numbers as missing ones, and a warning for each column.

    No estimator takes an infinity, and a drift test ranks it above everything.
    """
    warnings = []
    infinite = []
    for name in table.column_names:
        count = _infinite(table.column(name))  # one column at a time, and this one is gone
        if count:
            infinite.append(name)
            warnings.append(f"infinite: {name!r} has {count} infinite values; kept as missing")
    return revise(table, dict.fromkeys(infinite, _finite)), warnings


def _infinite(column: Any) -> int:
    return pc.sum(pc.is_inf(column)).as_py() or 0 if column.type == casts.NUMBER else 0


def _finite(column: Any) -> Any:
    return pc.if_else(pc.is_inf(column), pa.scalar(None, casts.NUMBER), column)


def of_raw_time(table: Tabular, time: str | None) -> list[str]:
    """Return the warnings about a time column whose times are still text."""
    if time is None or table.column(time).type != casts.TEXT:
        return []
    return [f"{name}: {text}" for name, text in spelling.of_zones(time, table.column(time))]


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
        found += _of_column(table.column(summary.name), summary, is_input=is_input)
    found += _of_rows(table)
    if target is not None:
        found += _of_target(table, target)
    if time is not None and table.column(time).type == casts.TIME:
        found += spelling.of_fold(time, table.column(time))
    return _shortened(found)


def _of_column(column: Any, summary: ColumnProfile, *, is_input: bool) -> Iterator[tuple[str, str]]:
    name, rows = summary.name, len(column)
    if not _PLAIN_NAME.match(name):
        yield "odd_name", f"{name!r} has characters that SQL, URLs or shells stumble over"
    if summary.missing == rows:
        yield "all_missing_column", f"{name!r} has no values"
        return
    if summary.distinct == 1:
        yield "constant_column", f"{name!r} has one value"
    if column.type == casts.NUMBER:
        yield from _big_integers(name, summary)
        yield from spelling.of_number(name, column)
    if column.type == casts.TIME:
        yield from spelling.of_time(name, column)
    if is_input and _identifies(column, summary):
        yield (
            "identifier_column",
            f"{name!r} differs in every row; a model learns it by heart: leave it out with "
            f"mlkit train --ignore {shlex.quote(name)}",
        )
    if column.type == casts.TEXT:
        yield from _of_text(name, column)


def _big_integers(name: str, summary: ColumnProfile) -> Iterator[tuple[str, str]]:
    edges = [e for e in (summary.minimum, summary.maximum) if isinstance(e, int | float)]
    if any(abs(edge) >= _EXACT for edge in edges):
        limit = "2**63" if any(abs(edge) >= 2.0**63 for edge in edges) else "2**53"
        yield "big_number", f"{name!r} has numbers beyond {limit}; kept to 16 digits, not exactly"


def _identifies(column: Any, summary: ColumnProfile) -> bool:
    if summary.missing or summary.distinct < len(column) or len(column) < identifier.ENOUGH_ROWS:
        return False
    if column.type == casts.TEXT:
        return True
    if column.type != casts.INTEGER:
        return False
    span = int(summary.maximum or 0) - int(summary.minimum or 0)
    counts = identifier.is_counter(len(column), summary.distinct, span)
    return counts or identifier.is_named_so(summary.name)


def _of_text(name: str, column: Any) -> Iterator[tuple[str, str]]:
    spelled = list(spelling.of_text(name, column))
    yield from spelled
    if any(warning == "number_as_text" for warning, _ in spelled):
        return
    values = column.drop_null()
    numeric = pc.match_substring_regex(values, _NUMERIC)
    count = pc.sum(numeric).as_py() or 0
    if len(values) / 2 <= count < len(values):
        odd = pc.indices_nonzero(
            pc.fill_null(pc.invert(pc.match_substring_regex(column, _NUMERIC)), fill_value=False)
        )
        row = odd[0].as_py()
        yield (
            "mixed_types",
            f"{name!r} is text because {len(odd)} of {len(values)} values are not numbers, "
            f"first {column[row].as_py()[:40]!r} in row {row + 1}",
        )
    elif pc.all(pc.match_substring_regex(values, _LOCAL_DATE)).as_py() and not _is_iso(values):
        yield (
            "date_as_text",
            f"{name!r} looks like dates but not like 2026-01-31T09:30:00Z; kept as text",
        )


def _is_iso(values: Any) -> bool:
    try:
        datetime.fromisoformat(values[0].as_py().strip())
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
    """Return a number for each row, the same for the same values; reads few rows at a time."""
    hashes = np.zeros(table.num_rows, dtype=np.uint64)
    start = 0
    for piece in pieces(table, _AT_ONCE):
        part = hashes[start : start + piece.num_rows]
        for column in piece.columns:
            part *= _ODD
            part ^= _hash(column.combine_chunks())
            part ^= part >> _HALF
        start += piece.num_rows
    return hashes


def _hash(values: Any) -> np.ndarray:
    from pandas.util import hash_array, hash_pandas_object  # slow to import

    if values.type == casts.TEXT:
        hashed: np.ndarray = hash_pandas_object(values.to_pandas(), index=False).to_numpy()
        return hashed
    if values.type == casts.NUMBER:
        return hash_array(values.to_numpy(zero_copy_only=False))
    whole = values.cast(casts.INTEGER)
    hashed = hash_array(pc.fill_null(whole, 0).to_numpy())
    if whole.null_count:
        hashed[pc.is_null(whole).to_numpy(zero_copy_only=False)] = _ODD
    return hashed


def _of_target(table: Tabular, target: str) -> Iterator[tuple[str, str]]:
    wanted = table.column(target)
    if wanted.null_count:
        yield "missing_target", f"{wanted.null_count} rows have no {target!r}"
    if pc.count_distinct(wanted.drop_null()).as_py() == 1:
        yield "constant_target", f"{target!r} has one value; there is nothing to learn"
        return
    for name in table.column_names:
        column = wanted if name == target else table.column(name)
        if name != target and column.type == wanted.type and column.equals(wanted):
            yield "target_copy", f"{name!r} equals the target {target!r} in every row"


def _shortened(found: Sequence[tuple[str, str]]) -> list[str]:
    """Return the warnings, at most ten of each name and the number of the rest."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for name, text in found:
        by_name[name].append(text)
    lines = []
    for name, texts in by_name.items():
        lines += [f"{name}: {text}" for text in texts[:_SHOWN]]
        if len(texts) > _SHOWN:
            lines.append(f"{name}: and {len(texts) - _SHOWN:,} more columns")
    return lines
