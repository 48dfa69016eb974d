"""Infer rules from a first version, for the user to edit."""

import math
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.quality import identifier
from mlkit.steps.rules.schema import NOT_NULLABLE, ColumnRules, Rule, Schema
from mlkit.steps.tables import dtypes
from mlkit.steps.tables.tabular import Column, Tabular

MAX_CATEGORIES = 20


def infer(
    table: Tabular,
    *,
    target: str | None = None,
    time: str | None = None,
    entity: str | None = None,
) -> Schema:
    """Infer the rules from a first version.

    They are: types; nulls only if some were seen; for numbers the range [min - span, max + span]
    with span = max - min, not below 0 if no value was; for text columns the seen values if there
    are at most 20, each twice on average. The time column must have no missing values. Time, entity
    and id columns grow, so they get no range and no list.
    """
    return Schema({
        name: _suggested(
            Column(table, name),
            key=name in (time, entity) or _is_id(name, Column(table, name), target),
            is_target=name == target,
            nullable=name != time,
        )
        for name in table.column_names
    })  # fmt: skip


def _is_id(name: str, column: Column, target: str | None) -> bool:
    return name != target and identifier.grows(name, column)


def _suggested(column: Column, *, key: bool, is_target: bool, nullable: bool) -> ColumnRules:
    kind = column.type
    rules = [] if key else list(_rules(column, kind, is_target=is_target))
    missing = sum(part.null_count for part in column)
    if missing == 0 or not nullable:
        rules.insert(0, Rule(NOT_NULLABLE))
    return ColumnRules(None if missing == len(column) else dtypes.PANDAS[kind], rules=tuple(rules))


def _rules(column: Column, kind: pa.DataType, *, is_target: bool) -> Iterator[Rule]:
    if kind in (dtypes.INTEGER, dtypes.NUMBER):
        bounds = _bounds(column)
        if bounds is not None:
            yield Rule("in_range", {"min_value": bounds[0], "max_value": bounds[1]})
    if kind == dtypes.TEXT:
        values = _few(column)
        if values and (2 * len(values) <= len(column) or is_target):
            yield Rule("isin", {"allowed_values": sorted(values)})


def _few(column: Column) -> set[str]:
    """Return the distinct values, None if there are many."""
    values: set[str] = set()
    for part in column:
        found = pc.unique(part.drop_null())
        values.update(found[: MAX_CATEGORIES + 1].to_pylist())
        if len(values) > MAX_CATEGORIES:
            return set()
    return values


def _bounds(column: Column) -> tuple[float, float] | None:
    """Return the widened range, or None for a column without a scale (constant, huge, ids)."""
    edges = [pc.min_max(part) for part in column]
    lows = [edge["min"].as_py() for edge in edges if edge["min"].is_valid]
    highs = [edge["max"].as_py() for edge in edges if edge["max"].is_valid]
    if not lows or min(lows) == max(highs):
        return None
    low, high = min(lows), max(highs)
    span = high - low
    wide = (max(low - span, 0) if low >= 0 else low - span, high + span)
    if not all(abs(edge) < 2**63 for edge in wide):
        return None
    digits = 3 - math.floor(math.log10(span))  # digits of the span: precise enough, and readable
    return wide if isinstance(span, int) else (round(wide[0], digits), round(wide[1], digits))
