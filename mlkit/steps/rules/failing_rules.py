"""Find the rules that a table breaks, and the failing rows, column by column.

Messages are in ``checks``.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit import epoch
from mlkit.settings.table import duration
from mlkit.steps.rules import masks, table_rules
from mlkit.steps.rules.failing_rows import FailingRows, first_rows
from mlkit.steps.rules.rule_failure import Circumstances, RuleFailure, by_rows, fitted
from mlkit.steps.rules.schema import (
    COLUMN_PRESENT,
    FRESH,
    MAX_DRIFT,
    MAX_MISSING,
    MONOTONE,
    UNIQUE,
    UNIQUE_VALUES,
    ColumnRules,
    Rule,
    Schema,
    types,
)
from mlkit.steps.tables import casts, dtypes, repeats
from mlkit.steps.tables.casts import Cast
from mlkit.steps.tables.tabular import Column, Mask, Tabular

Typed = Literal["file", "query"]

_EXAMPLES = 5
_OF_WHOLE = (MAX_MISSING, MAX_DRIFT, FRESH, UNIQUE, UNIQUE_VALUES)


def find(table: Tabular, schema: Schema, circumstances: Circumstances) -> Iterator[RuleFailure]:
    """Yield every failing rule; a column of another type is not checked further."""
    present = set(table.column_names)
    for name, rules in schema.columns.items():
        if name not in present and rules.required:
            yield RuleFailure((name,), Rule(COLUMN_PRESENT), total=table.num_rows)
    if schema.strict:
        for name in table.column_names:
            if name not in schema.columns:
                yield RuleFailure((name,), Rule("column_known"), total=table.num_rows)
    for name in [name for name in schema.columns if name in present]:
        yield from _of_column(Column(table, name), schema, circumstances)
    yield from table_rules.of_rows(table, schema)
    yield from table_rules.of_whole(table, schema, circumstances)


def _of_column(
    column: Column, schema: Schema, circumstances: Circumstances
) -> Iterator[RuleFailure]:
    """Check all rules about single values in one pass, part by part."""
    name, rules = column.name, schema.columns[column.name]
    wanted = types(schema).get(name)
    if circumstances.typed and wanted and not _keeps(column, wanted, circumstances.typed):
        said = f"the column holds {dtypes.NAMES[column.type]}, not {dtypes.NAMES[wanted]}"
        yield RuleFailure(
            (name,), Rule(f"type({dtypes.NAMES[wanted]})"), said=said, total=len(column)
        )
        return
    mistyped, judged = TypeFailures(), [_Judged(rule) for rule in rules.rules]
    for part in column:
        fitting = Cast(part) if wanted is None else casts.cast(part, wanted, examples=_EXAMPLES)
        mistyped.add(part, fitting)
        if not mistyped.count:
            for one in judged:
                one.look_at(fitting.column)
    if mistyped.count and wanted is not None:
        yield mistyped.failure(name, wanted)
        return
    column = fitted(column, schema)
    for one in judged:
        yield from _of_values(column, one)
    yield from _of_column_whole(column, rules, circumstances)


def _keeps(column: Column, wanted: pa.DataType, typed: Typed) -> bool:
    """Tell whether a typed column has the wanted type, or no value at all.

    Some databases (SQLite, MySQL) store booleans as 0 and 1.
    """
    if typed == "query" and (column.type, wanted) == (dtypes.INTEGER, dtypes.BOOLEAN):
        return True
    return casts.keeps(column.type, wanted) or all(part.null_count == len(part) for part in column)


class TypeFailures:
    """The values of a column that are not of the wanted type, found part by part."""

    def __init__(self) -> None:
        self.count = 0
        self._rows = FailingRows()
        self._first: list[tuple[int, Any]] = []

    def add(self, part: pa.ChunkedArray, fitting: Cast) -> None:
        """Add the unfit values of the next part."""
        mask = None
        if fitting.unfit:
            mask = np.asarray(pc.and_(part.is_valid(), fitting.column.is_null()).to_numpy())
            behind = self._rows.behind
            self._first += [(behind + row, value) for row, value in fitting.unfit]
            self.count += fitting.unfit_count
        self._rows.add(mask, len(part))

    def failure(self, name: str, wanted: pa.DataType) -> RuleFailure:
        """Return them as a failure of the type rule."""
        first = tuple(self._first[:_EXAMPLES])
        rule = Rule(f"type({dtypes.NAMES[wanted]})")
        return RuleFailure((name,), rule, self._rows.mask, first, total=self.count)


class _Judged:
    """A rule, and the rows checked so far that break it."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rows = FailingRows()
        self.unfit = masks.unfit_option(rule)
        self._whole = rule.name in _OF_WHOLE
        self._find: Callable[[Any], Mask | None] = partial(masks.failing, rule=rule)
        if rule.name == MONOTONE:
            self._find = masks.InOrder(rule.arguments["order"]).failing

    def look_at(self, part: pa.ChunkedArray) -> None:
        """Check the rows of the next part, if the rule is about single values."""
        if self._whole or self.unfit is not None:
            return
        try:
            self.rows.add(self._find(part), len(part))
        except masks.UnfitRuleError as error:
            self.unfit = str(error)

    @property
    def failing(self) -> Mask | None:
        """The rows that break the rule, at most its ``n_failure_cases``."""
        rows, most = self.rows.mask, self.rule.options.get("n_failure_cases")
        if rows is None or not isinstance(most, int):
            return rows
        few = np.zeros(len(rows), dtype=bool)
        few[first_rows(rows, most)] = True
        return few


def _of_values(column: Column, judged: _Judged) -> Iterator[RuleFailure]:
    rule = judged.rule
    said = judged.unfit
    if rule.name == UNIQUE_VALUES and said is None and not _are(column, rule):
        said = str(False)
    if said is not None:
        yield RuleFailure((column.name,), rule, said=said, total=1)
        return
    rows = repeats.of(column) if rule.name == UNIQUE else judged.failing
    if rows is not None:
        yield by_rows((column.name,), rule, rows, [column])


def _of_column_whole(
    column: Column, rules: ColumnRules, circumstances: Circumstances
) -> Iterator[RuleFailure]:
    for rule in rules.rules:
        said = None
        if rule.name == MAX_MISSING:
            said = _too_many_missing(column, rule.arguments["share"])
        if rule.name == FRESH and circumstances.now is not None:
            said = _stale(column, rule, circumstances.now)
        if said is not None:
            yield RuleFailure((column.name,), rule, said=said)


def _are(column: Column, rule: Rule) -> bool:
    """Tell whether the set of values of a column equals the list of the rule."""
    listed = set(rule.arguments["values"])
    found: set[Any] = set()
    for part in column:
        found.update(pc.unique(part).to_pylist())
        if rule.options.get("ignore_na", True):
            found.discard(None)
        if not found <= listed:
            return False
    return found == listed


def _too_many_missing(column: Column, allowed: float) -> str | None:
    missing = sum(part.null_count for part in column)
    if missing <= allowed * len(column):
        return None
    return f"{missing:,} of {len(column):,} values are missing ({missing / len(column):.2%})"


def _stale(column: Column, rule: Rule, now: datetime) -> str | None:
    """Return the age of the newest time if it is too old."""
    if column.type != dtypes.DATETIME:
        return f"the column holds {dtypes.NAMES[column.type]}, not times"
    times = [time for time in (pc.max(part) for part in column) if time.is_valid]
    if not times:
        return "there is no time at all"
    newest = max(times, key=lambda time: time.value)
    age = now - epoch.from_us(newest.value)
    if age <= duration(rule.arguments["within"]):
        return None
    return f"the newest is {newest.cast(pa.string()).as_py()}, {_age(age)} ago"


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
