"""Which rules the rows of a table break, and which rows: found column by column.

Nothing here is about words; what a person is told is ``checks``' business.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.settings import duration
from mlkit.steps import casts, expressions, masks, repeats
from mlkit.steps.casts import Cast
from mlkit.steps.masks import Mask
from mlkit.steps.schema import (
    CHECK,
    COLUMN_PRESENT,
    FRESH,
    KEY,
    MAX_DRIFT,
    MAX_MISSING,
    ROWS,
    UNIQUE_TOGETHER,
    ColumnRules,
    Rule,
    Schema,
    types,
)
from mlkit.steps.tabular import Tabular

if TYPE_CHECKING:
    from mlkit.steps.drift_result import DriftResult

_EXAMPLES = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Circumstances(NamedTuple):
    """What some rules ask beside the rows: the time, and how the rows differ from those before.

    Without ``now`` nothing is too old, and without ``drift`` (the first version has nothing
    before it) nothing has drifted.
    """

    now: datetime | None = None
    drift: "Callable[[pa.Table], DriftResult | None] | None" = None


class Breach(NamedTuple):
    """A rule that is broken: by which rows, or (without ``rows``) by the whole, as ``said``.

    ``total`` is how many rows break it, ``first`` are the first, five at most, with their values.
    """

    columns: tuple[str, ...]
    rule: Rule
    rows: Mask | None = None
    first: tuple[tuple[int, Any], ...] = ()
    said: str | bool | None = None
    total: int = 0

    @property
    def refuses(self) -> bool:
        """Whether the rows may not become a version because of it."""
        return self.rule.level == "error"


def find(table: Tabular, schema: Schema, circumstances: Circumstances) -> Iterator[Breach]:
    """Yield every broken rule; a column of another type breaks that and is asked nothing else."""
    present = set(table.column_names)
    for name, rules in schema.columns.items():
        if name not in present and rules.required:
            yield Breach((name,), Rule(COLUMN_PRESENT), total=table.num_rows)
    if schema.strict:
        for name in table.column_names:
            if name not in schema.columns:
                yield Breach((name,), Rule("column_known"), total=table.num_rows)
    for name in [name for name in schema.columns if name in present]:
        yield from _of_column(table.column(name), name, schema, circumstances)
    yield from _of_rows(table, schema)
    yield from _of_whole(table, schema, circumstances)


def cast(column: Any, name: str, schema: Schema) -> Cast:
    """Return a column in the type that the schema wants."""
    wanted = types(schema).get(name)
    return Cast(column) if wanted is None else casts.cast(column, wanted, examples=_EXAMPLES)


def _of_column(
    column: Any, name: str, schema: Schema, circumstances: Circumstances
) -> Iterator[Breach]:
    fitting = cast(column, name, schema)
    if fitting.misfits:
        yield misfitting(name, types(schema)[name], column, fitting)
        return
    rules = schema.columns[name]
    yield from _of_values(fitting.column, name, rules)
    yield from _of_column_whole(fitting.column, name, rules, circumstances)


def misfitting(name: str, wanted: pa.DataType, column: Any, fitting: Cast) -> Breach:
    """Return the breach of values that are not of the wanted type."""
    rows = np.asarray(pc.and_(column.is_valid(), fitting.column.is_null()).to_numpy())
    values = tuple((row, value) for row, value in fitting.misfits)
    rule = Rule(f"type({casts.NAMES[wanted]})")
    return Breach((name,), rule, rows, values, total=fitting.misfit_count)


def _of_values(column: Any, name: str, rules: ColumnRules) -> Iterator[Breach]:
    for rule in rules.rules:
        if rule.name in (MAX_MISSING, MAX_DRIFT, FRESH):
            continue
        try:
            rows = masks.broken(column, rule)
        except masks.NotCompiledError:
            yield from _by_pandera(column, name, rule)
            continue
        if rows is not None:
            yield _by_rows((name,), rule, rows, [column])


def _by_pandera(column: Any, name: str, rule: Rule) -> Iterator[Breach]:
    """Ask pandera, which knows more rules and costs more."""
    from mlkit.steps import pandera_rules  # pandera, which hardly any schema needs

    verdict = pandera_rules.judge(column, rule)
    if verdict is None:
        return
    if not len(verdict.rows):
        said = None if verdict.whole is None else str(verdict.whole)
        yield Breach((name,), rule, said=said, total=1)
        return
    rows = np.zeros(len(column), dtype=bool)
    rows[verdict.rows] = True
    yield _by_rows((name,), rule, rows, [column])


def _by_rows(names: tuple[str, ...], rule: Rule, rows: Mask, columns: Sequence[Any]) -> Breach:
    first = _first(rows)
    values = tuple((row, _shown(names, columns, row)) for row in first)
    return Breach(names, rule, rows, values, total=int(rows.sum()))


def _first(rows: Mask) -> list[int]:
    """Return the first rows of a mask without looking at all of them where that is enough."""
    found: list[int] = []
    for start in range(0, len(rows), 1 << 16):
        found += (np.flatnonzero(rows[start : start + (1 << 16)]) + start).tolist()
        if len(found) >= _EXAMPLES:
            break
    return found[:_EXAMPLES]


def _shown(names: tuple[str, ...], columns: Sequence[Any], row: int) -> Any:
    if len(columns) == 1:
        return columns[0][row].as_py()
    parts = (f"{n}={c[row].as_py()}" for n, c in zip(names, columns, strict=True))
    return ", ".join(parts)


def _of_column_whole(
    column: Any, name: str, rules: ColumnRules, circumstances: Circumstances
) -> Iterator[Breach]:
    for rule in rules.rules:
        said = None
        if rule.name == MAX_MISSING and column.null_count > rule.arguments["share"] * len(column):
            share = column.null_count / len(column)
            said = f"{column.null_count:,} of {len(column):,} values are missing ({share:.2%})"
        if rule.name == FRESH and circumstances.now is not None:
            said = _stale(column, rule, circumstances.now)
        if said is not None:
            yield Breach((name,), rule, said=said)


def _stale(column: Any, rule: Rule, now: datetime) -> str | None:
    """Return how old the newest time is if that is too old."""
    if column.type != casts.TIME:
        return f"the column holds {casts.NAMES[column.type]}, not times"
    newest = pc.max(column).value
    if newest is None:
        return "there is no time at all"
    age = (now - _EPOCH) - timedelta(microseconds=newest)
    if age <= duration(rule.arguments["within"]):
        return None
    return f"the newest is {pc.max(column).cast(pa.string()).as_py()}, {_age(age)} ago"


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def _of_rows(table: Tabular, schema: Schema) -> Iterator[Breach]:
    """Yield the broken rules about several columns of a row."""
    for rule in schema.rules:
        if rule.name == CHECK:
            yield from _of_check(table, schema, rule)
        if rule.name in (UNIQUE_TOGETHER, KEY):
            names = [name for name in rule.arguments["columns"] if name in table.column_names]
            columns = [cast(table.column(name), name, schema).column for name in names]
            rows = repeats.together(columns) if columns else None
            if rule.name == KEY:
                rows = _with_gaps(rows, columns)
            if rows is not None:
                yield _by_rows(tuple(names), rule, rows, columns)


def _with_gaps(rows: Mask | None, columns: Sequence[Any]) -> Mask | None:
    for column in columns:
        if column.null_count:
            missing = column.is_null().to_numpy()
            rows = missing if rows is None else rows | missing
    return rows


def _of_check(table: Tabular, schema: Schema, rule: Rule) -> Iterator[Breach]:
    text = rule.arguments["text"]
    names = expressions.columns_of(text)
    if not set(names) <= set(table.column_names):
        return  # the missing column is a breach of its own
    columns = [cast(table.column(name), name, schema).column for name in names]
    kinds = {n: expressions.KINDS[c.type] for n, c in zip(names, columns, strict=True)}
    try:
        holds = expressions.compile_text(text, kinds).holds
    except InvalidInputError as error:
        yield Breach(names, rule, said=str(error), total=1)
        return
    with np.errstate(all="ignore"):
        rows = ~holds({n: masks.values(c) for n, c in zip(names, columns, strict=True)})
    for column in columns:
        there = masks.valid(column)
        rows = rows if there is None else rows & there
    if rows.any():
        yield _by_rows(names, rule, rows, columns)


def _of_whole(table: Tabular, schema: Schema, circumstances: Circumstances) -> Iterator[Breach]:
    for rule in schema.named(ROWS):
        low, high = (rule.arguments.get(key) for key in ("min_value", "max_value"))
        if (low is not None and table.num_rows < low) or (
            high is not None and table.num_rows > high
        ):
            yield Breach((), rule, said=f"there are {table.num_rows:,} rows")
    if schema.compares and circumstances.drift is not None:
        yield from _drifted(table, schema, circumstances.drift)


def _drifted(
    table: Tabular, schema: Schema, compare: "Callable[[pa.Table], DriftResult | None]"
) -> Iterator[Breach]:
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
    columns = {name: cast(table.column(name), name, schema).column for name in wanted}
    result = compare(pa.table(columns))
    if result is None or result.verdict == "insufficient_data":
        return
    for name in wanted:
        moved = [f for f in result.features if f.column == name and f.q_value <= result.alpha]
        worst = max(moved, key=lambda f: f.effect, default=None)
        for rule in limits[name]:
            if worst is not None and worst.effect > rule.arguments["effect"]:
                said = f"{worst.kind} by {worst.effect:.3g} ({worst.test}, q {worst.q_value:.2g})"
                yield Breach((name,), rule, said=said)
