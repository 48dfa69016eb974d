"""The rules that a first version suggests; the user edits them."""

import math
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from mlkit.steps import casts, identifier
from mlkit.steps.schema import DTYPES, NOT_NULLABLE, ColumnRules, Rule, Schema
from mlkit.steps.tabular import Tabular

MAX_CATEGORIES = 20


def infer(
    table: Tabular,
    *,
    target: str | None = None,
    time: str | None = None,
    entity: str | None = None,
) -> Schema:
    """Return the rules that a first version suggests.

    Types; nulls only where some were seen; numbers within the seen range widened by its own span
    on each side, never below 0 if nothing was; the seen values of a text column if there are at
    most 20 of them and each comes twice on average. The time column must have no gaps. It, the
    entity column and whole numbers that are ids grow, so they have no range and no list.
    """
    return Schema({
        name: _suggested(
            table.column(name),
            key=name in (time, entity) or _is_id(name, table.column(name), target),
            is_target=name == target,
            nullable=name != time,
        )
        for name in table.column_names
    })  # fmt: skip


def _is_id(name: str, column: Any, target: str | None) -> bool:
    return name != target and identifier.grows(name, column)


def _suggested(column: Any, *, key: bool, is_target: bool, nullable: bool) -> ColumnRules:
    rules = [] if key else list(_rules(column, is_target=is_target))
    if column.null_count == 0 or not nullable:
        rules.insert(0, Rule(NOT_NULLABLE))
    empty = column.null_count == len(column)
    return ColumnRules(None if empty else DTYPES[column.type], rules=tuple(rules))


def _rules(column: Any, *, is_target: bool) -> Iterator[Rule]:
    if column.type in (casts.INTEGER, casts.NUMBER):
        bounds = _bounds(column)
        if bounds is not None:
            yield Rule("in_range", {"min_value": bounds[0], "max_value": bounds[1]})
    if column.type == casts.TEXT:
        values = pc.unique(column.drop_null())
        few = 2 * len(values) <= len(column) or is_target
        if few and 0 < len(values) <= MAX_CATEGORIES:
            yield Rule("isin", {"allowed_values": sorted(values.to_pylist())})


def _bounds(column: Any) -> tuple[float, float] | None:
    """Return the widened range, or None for a column that gives no scale (constant, huge, ids)."""
    edges = pc.min_max(column)
    low, high = edges["min"].as_py(), edges["max"].as_py()
    if low is None or low == high:
        return None
    span = high - low
    wide = (max(low - span, 0) if low >= 0 else low - span, high + span)
    if not all(abs(edge) < 2**63 for edge in wide):
        return None
    digits = 3 - math.floor(math.log10(span))  # of the span: enough, and pleasant to read
    return wide if isinstance(span, int) else (round(wide[0], digits), round(wide[1], digits))
