"""Rules about several columns of a row, and about the table as a whole."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps.rules import expressions, masks
from mlkit.steps.rules.failing_rows import FailingRows
from mlkit.steps.rules.rule_failure import Circumstances, RuleFailure, by_rows, fitted
from mlkit.steps.rules.schema import (
    CHECK,
    KEY,
    MAX_DRIFT,
    ROWS,
    UNIQUE_TOGETHER,
    Rule,
    Schema,
)
from mlkit.steps.tables import repeats
from mlkit.steps.tables.tabular import Column, Mask, Tabular

if TYPE_CHECKING:
    from mlkit.steps.drift.result import DriftResult


def of_rows(table: Tabular, schema: Schema) -> Iterator[RuleFailure]:
    """Yield the rules that fail about several columns of a row."""
    for rule in schema.rules:
        if rule.name == CHECK:
            yield from _of_check(table, schema, rule)
        if rule.name in (UNIQUE_TOGETHER, KEY):
            names = [name for name in rule.arguments["columns"] if name in table.column_names]
            columns = [fitted(Column(table, name), schema) for name in names]
            rows = repeats.together(columns) if columns else None
            if rule.name == KEY:
                rows = _with_gaps(rows, columns)
            if rows is not None:
                yield by_rows(tuple(names), rule, rows, columns)


def _with_gaps(rows: Mask | None, columns: Sequence[Column]) -> Mask | None:
    for column in columns:
        gaps = FailingRows()
        for part in column:
            gaps.add(part.is_null().to_numpy() if part.null_count else None, len(part))
        if gaps.mask is not None:
            rows = gaps.mask if rows is None else rows | gaps.mask
    return rows


def _of_check(table: Tabular, schema: Schema, rule: Rule) -> Iterator[RuleFailure]:
    text = rule.arguments["text"]
    names = expressions.columns_of(text)
    if not set(names) <= set(table.column_names):
        return  # the missing column is a failure of its own
    columns = [fitted(Column(table, name), schema) for name in names]
    types = {n: c.type for n, c in zip(names, columns, strict=True)}
    try:
        holds = expressions.compile_text(text, types).holds
    except InvalidInputError as error:
        yield RuleFailure(names, rule, said=str(error), total=1)
        return
    found = FailingRows()
    for part in zip(*columns, strict=True):
        with np.errstate(all="ignore"):
            rows = ~holds({n: masks.values(c) for n, c in zip(names, part, strict=True)})
        for values in part:
            there = masks.valid(values)
            rows = rows if there is None else rows & there
        found.add(rows if rows.any() else None, len(part[0]))
    if found.mask is not None:
        yield by_rows(names, rule, found.mask, columns)


def of_whole(table: Tabular, schema: Schema, circumstances: Circumstances) -> Iterator[RuleFailure]:
    """Yield the rules that fail about the number of rows, or about drift since the last version."""
    for rule in schema.named(ROWS):
        low, high = (rule.arguments.get(key) for key in ("min_value", "max_value"))
        if (low is not None and table.num_rows < low) or (
            high is not None and table.num_rows > high
        ):
            yield RuleFailure((), rule, said=f"there are {table.num_rows:,} rows")
    if schema.compares and circumstances.drift is not None:
        yield from _drifted(table, schema, circumstances.drift)


def _drifted(
    table: Tabular, schema: Schema, compare: "Callable[[pa.Table], DriftResult | None]"
) -> Iterator[RuleFailure]:
    """Yield the columns that have moved away from the version before by more than is allowed."""
    everywhere = list(schema.named(MAX_DRIFT))
    limits = {
        name: [rule for rule in column.rules if rule.name == MAX_DRIFT] or everywhere
        for name, column in schema.columns.items()
        if name in table.column_names
    }
    wanted = [name for name, rules in limits.items() if rules]
    if not wanted:
        return
    columns = [fitted(Column(table, name), schema) for name in wanted]
    result = compare(pa.table({c.name: c.table.column(c.name) for c in columns}))
    if result is None or result.verdict == "insufficient_data":
        return
    for name in wanted:
        moved = [f for f in result.features if f.column == name and f.q_value <= result.alpha]
        worst = max(moved, key=lambda f: f.effect, default=None)
        for rule in limits[name]:
            if worst is not None and worst.effect > rule.arguments["effect"]:
                said = f"{worst.kind} by {worst.effect:.3g} ({worst.test}, q {worst.q_value:.2g})"
                yield RuleFailure((name,), rule, said=said)
