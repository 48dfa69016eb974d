"""What the rows of a dataset must be like: rules inferred once, edited by hand, checked for ever.

The rules are a pandera schema; its YAML form is ``rules``' business.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera import errors

from mlkit.steps import casts
from mlkit.steps.revised_table import Change, RevisedTable, revise
from mlkit.steps.rules import DTYPES, arrow_type, from_yaml, to_yaml
from mlkit.steps.tabular import Tabular

__all__ = ["Example", "Failure", "Findings", "check", "conform", "from_yaml", "infer", "to_yaml"]

MAX_CATEGORIES = 20
_EXAMPLES = 5
_SHOWN = 20
_FRAME_TYPES = {
    casts.INTEGER: pd.Int64Dtype(),
    casts.BOOLEAN: pd.BooleanDtype(),
    casts.TEXT: pd.StringDtype("pyarrow"),
}


class Example(msgspec.Struct, frozen=True):
    """A value that breaks a rule; ``row`` counts from 1, without the header."""

    row: int | None
    value: str | int | float | bool | None


class Failure(msgspec.Struct, frozen=True):
    """One rule that ``count`` rows of a column break."""

    column: str
    rule: str
    count: int
    examples: tuple[Example, ...] = ()


class Findings(msgspec.Struct, frozen=True):
    """The outcome of a check: no failures means that the table may become a version."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()


def infer(
    table: Tabular,
    *,
    target: str | None = None,
    time: str | None = None,
    entity: str | None = None,
) -> pandera.DataFrameSchema:
    """Return the rules that a first version suggests.

    Types; nulls only where some were seen; numbers within the seen range widened by its own span
    on each side, never below 0 if nothing was; the seen values of a text column if there are at
    most 20 of them and each comes twice on average. The time column must have no gaps; it and the
    entity column grow, so they have no range and no list.
    """
    columns = {
        name: _suggested(
            table.column(name),
            key=name in (time, entity),
            is_target=name == target,
            nullable=name != time,
        )
        for name in table.column_names
    }
    return _schema(columns)


def check(table: Tabular, schema: pandera.DataFrameSchema) -> Findings:
    """Return every rule of ``schema`` that the rows of a canonical table break."""
    extra = [name for name in table.column_names if name not in schema.columns]
    failures = list(_absent(table, schema))
    if schema.strict is True:
        failures += [Failure(name, "column_known", table.num_rows) for name in extra]
        extra = []
    fitting, misfits = _cast(table.select(table.column_names), schema)
    failures += misfits
    failures += _broken(fitting, schema)
    warnings = [f"new_column: '{name}' is not in the schema; kept, unchecked" for name in extra]
    return Findings(tuple(failures), tuple(warnings))


def conform(table: Tabular, schema: pandera.DataFrameSchema) -> Tabular:
    """Return a table that passed ``check`` with the types and the column order of ``schema``."""
    present = table.column_names
    inside = set(present)
    known = [name for name in schema.columns if name in inside]
    changes = {name: _to(kind) for name, kind in types(schema).items() if name in inside}
    return RevisedTable(table, list(dict.fromkeys([*known, *present])), changes)


def _to(kind: pa.DataType) -> Change:
    """Return what gives a column without misfits the type ``kind``."""
    return lambda column: casts.cast(column, kind).column


def _suggested(column: Any, *, key: bool, is_target: bool, nullable: bool) -> pandera.Column:
    return pandera.Column(
        None if column.null_count == len(column) else DTYPES[column.type],
        checks=[] if key else list(_rules(column, is_target=is_target)),
        nullable=column.null_count > 0 and nullable,
    )


def _rules(column: Any, *, is_target: bool) -> Iterator[pandera.Check]:
    if column.type in (casts.INTEGER, casts.NUMBER):
        bounds = _bounds(column)
        if bounds is not None:
            yield pandera.Check.in_range(*bounds)
    if column.type == casts.TEXT:
        values = pc.unique(column.drop_null())
        few = 2 * len(values) <= len(column) or is_target
        if few and 0 < len(values) <= MAX_CATEGORIES:
            yield pandera.Check.isin(sorted(values.to_pylist()))


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


def _absent(table: Tabular, schema: pandera.DataFrameSchema) -> Iterator[Failure]:
    present = set(table.column_names)
    for name, column in schema.columns.items():
        if name not in present and column.required:
            yield Failure(name, "column_present", table.num_rows)


def _cast(table: pa.Table, schema: pandera.DataFrameSchema) -> tuple[pa.Table, list[Failure]]:
    """Return the table in the schema's types without the columns that do not fit, and these."""
    wanted = types(schema)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    failures = []
    for name in [name for name in wanted if name in columns]:
        result = casts.cast(columns[name], wanted[name], examples=_EXAMPLES)
        if result.misfits:
            failures.append(_misfitting(name, wanted[name], result))
            del columns[name]
        else:
            columns[name] = result.column
    return pa.table(columns), failures


def _misfitting(name: str, wanted: pa.DataType, result: casts.Cast) -> Failure:
    examples = tuple(Example(row + 1, plain(value)) for row, value in result.misfits)
    return Failure(name, f"type({casts.NAMES[wanted]})", result.misfit_count, examples)


def _broken(table: pa.Table, schema: pandera.DataFrameSchema) -> list[Failure]:
    """Let pandera check all but presence and types."""
    present = set(table.column_names)
    names = [name for name in schema.columns if name in present]
    unique = [name for name in schema.unique or [] if name in names]
    rest = _schema(
        {name: _untyped(schema.columns[name]) for name in names},
        checks=schema.checks,
        unique=unique or None,
    )
    frame = table.select(names).to_pandas(types_mapper=_FRAME_TYPES.get)
    try:
        rest.validate(frame, lazy=True)
    except errors.SchemaErrors as broken:
        return _grouped(broken.failure_cases)
    return []


def _schema(columns: dict[str, pandera.Column], **options: Any) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(columns, **options)


def _untyped(column: pandera.Column) -> pandera.Column:
    return pandera.Column(
        None, checks=column.checks, nullable=column.nullable, unique=column.unique
    )


def _grouped(cases: pd.DataFrame) -> list[Failure]:
    failures = []
    cases = cases.assign(column=cases["column"].fillna("(all columns)"))
    for (column, rule), group in cases.groupby(["column", "check"], sort=False, dropna=False):
        head = zip(group["index"].head(_EXAMPLES), group["failure_case"], strict=False)
        examples = tuple(
            Example(None if pd.isna(row) else int(row) + 1, plain(value)) for row, value in head
        )
        failures.append(Failure(str(column), _shorten(str(rule)), len(group), examples))
    return failures


def _shorten(rule: str) -> str:
    return rule if len(rule) <= 200 else f"{rule[:197]}..."


def plain(value: Any) -> str | int | float | bool | None:
    """Return a value of a frame as JSON can hold it: times as ISO text, missing as null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None if value is None or value is pd.NA or np.isnan(value) else str(value)
    return value if isinstance(value, bool | int | float) else str(value)[:100]


def lines(failures: Sequence[Failure]) -> list[str]:
    """Return a line for each failure, at most twenty, with the first rows that break the rule."""
    shown = [
        f"  {f.column!r}: {f.rule} broken in {f.count} rows{_rows(f)}" for f in failures[:_SHOWN]
    ]
    return [*shown, f"  and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else shown


def _rows(failure: Failure) -> str:
    rows = [f"{e.value!r} in row {e.row}" for e in failure.examples if e.row is not None]
    return f", first {', '.join(rows[:3])}" if rows else ""


def types(schema: pandera.DataFrameSchema) -> dict[str, pa.DataType]:
    """Return the type that the schema demands of each column that has one."""
    known = {name: arrow_type(column.dtype) for name, column in schema.columns.items()}
    return {name: kind for name, kind in known.items() if kind is not None}


def keyed(table: Tabular, *, target: str | None, time: str | None) -> tuple[Tabular, list[Failure]]:
    """Return the table with its time column as times, and what no dataset survives.

    That is: a target without any value, or a time column with gaps or with what is not a time.
    """
    failures = []
    if target is not None and table.column(target).null_count == table.num_rows:
        failures.append(Failure(target, "target_present", table.num_rows))
    if time is None:
        return table, failures
    column = table.column(time)
    result = casts.cast(column, casts.TIME, examples=_EXAMPLES)
    if result.misfits:
        failures.append(_misfitting(time, casts.TIME, result))
    elif column.null_count:
        rows = pc.indices_nonzero(pc.is_null(column))
        examples = tuple(Example(row + 1, None) for row in rows[:_EXAMPLES].to_pylist())
        failures.append(Failure(time, "not_nullable", column.null_count, examples))
    else:
        table = revise(table, {time: _to(casts.TIME)})
    return table, failures
