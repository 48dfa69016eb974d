"""Check the rows of a dataset against its rules, and describe the failures.

``failing_rules`` finds the rows; this module makes messages of them. The YAML form is in
``rule_file``.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from mlkit.steps.rules import failing_rules, rule_failure
from mlkit.steps.rules.failing_rows import FailingRows, first_rows
from mlkit.steps.rules.failing_rules import TypeFailures
from mlkit.steps.rules.inference import infer
from mlkit.steps.rules.rule_failure import Circumstances, RuleFailure
from mlkit.steps.rules.rule_file import from_yaml, to_yaml
from mlkit.steps.rules.schema import COLUMN_PRESENT, Schema, types
from mlkit.steps.tables import casts, dtypes
from mlkit.steps.tables.revised_table import RevisedTable, revise
from mlkit.steps.tables.tabular import Column, Tabular

__all__ = [
    "Circumstances", "Example", "Failure", "Findings", "check", "conform", "from_yaml", "infer",
    "to_yaml", "types",
]  # fmt: skip

_EXAMPLES = 5
_SHOWN = 20


class Example(msgspec.Struct, frozen=True):
    """A value that breaks a rule; ``row`` counts from 1, without the header."""

    row: int | None
    value: str | int | float | bool | None


class Failure(msgspec.Struct, frozen=True):
    """One rule that ``count`` rows of a column break; 0 for a rule about the whole table."""

    column: str
    rule: str
    count: int
    examples: tuple[Example, ...] = ()


class Findings(msgspec.Struct, frozen=True):
    """The result of a check: without failures the table may become a version."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()


def check(table: Tabular, schema: Schema, circumstances: Circumstances | None = None) -> Findings:
    """Return every rule of ``schema`` that the rows of a canonical table break."""
    found = failing_rules.find(table, schema, circumstances or Circumstances())
    return findings(found, table, schema)


def findings(found: Iterable[RuleFailure], table: Tabular, schema: Schema) -> Findings:
    """Describe the failures: those of level ``warn`` are warnings."""
    failures, warnings = [], []
    for one in found:
        failure = _failure(one)
        if one.refuses:
            failures.append(failure)
        else:
            warnings.append(f"rule_broken: {_line(failure)}")
    if not schema.strict:
        extra = [name for name in table.column_names if name not in schema.columns]
        warnings += [f"new_column: '{n}' is not in the schema; kept, unchecked" for n in extra]
    return Findings(tuple(failures), tuple(warnings))


def conform(table: Tabular, schema: Schema) -> Tabular:
    """Return a table that passed ``check`` with the types and the column order of ``schema``."""
    present = table.column_names
    inside = set(present)
    known = [name for name in schema.columns if name in inside]
    names = list(dict.fromkeys([*known, *present]))
    changes = {
        name: rule_failure.into(kind) for name, kind in types(schema).items() if name in inside
    }
    return RevisedTable(table, names, changes)


def _failure(found: RuleFailure) -> Failure:
    examples = tuple(Example(row + 1, plain(value)) for row, value in found.first)
    if found.said is not None:
        examples = (Example(None, plain(found.said)),)
    return Failure(", ".join(found.columns) or "(all columns)", shorten(found.rule.label),
                   found.total, examples)  # fmt: skip


def shorten(rule: str) -> str:
    """Return the name of a rule, shortened to fit into a line."""
    return rule if len(rule) <= 200 else f"{rule[:197]}..."


def plain(value: Any) -> str | int | float | bool | None:
    """Convert a value of a frame for JSON: times to ISO text, missing to null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None if value is None or value is pd.NA or np.isnan(value) else str(value)
    return value if isinstance(value, bool | int | float) else str(value)[:100]


def lines(failures: Sequence[Failure]) -> list[str]:
    """Return a line for each failure, at most twenty, with the first rows that break the rule."""
    shown = [f"  {_line(failure)}" for failure in failures[:_SHOWN]]
    return [*shown, f"  and {len(failures) - _SHOWN} more"] if len(failures) > _SHOWN else shown


def renamed(failures: Sequence[Failure], table: Tabular, schema: Schema) -> list[str]:
    """Return a question, at most one line, if columns are missing and others are new."""
    if not any(failure.rule == COLUMN_PRESENT for failure in failures):
        return []
    new = [name for name in table.column_names if name not in schema.columns]
    listed = ", ".join(f"'{name}'" for name in new[:_SHOWN])
    return [f"the schema does not know {listed}: has a column been renamed?"] if new else []


def _line(failure: Failure) -> str:
    """Describe which rule fails, where and how often.

    >>> _line(Failure("age", "in_range(0, 80)", 2, (Example(3, 99), Example(8, -1))))
    "'age': in_range(0, 80) broken in 2 rows, first 99 in row 3, -1 in row 8"
    """
    if failure.rule == COLUMN_PRESENT:
        return f"{failure.column!r}: there is no such column"
    what = f"{failure.column!r}: {failure.rule} broken"
    said = [str(e.value) for e in failure.examples if e.row is None]
    if said:
        return f"{what}: {said[0]}"
    rows = [f"{e.value!r} in row {e.row}" for e in failure.examples]
    return f"{what} in {failure.count} rows" + (f", first {', '.join(rows[:3])}" if rows else "")


def keyed(table: Tabular, *, target: str | None, time: str | None) -> tuple[Tabular, list[Failure]]:
    """Return the table with its time column parsed, and the failures that no dataset may have.

    These are a target without any value, and a time column with missing or invalid times.
    """
    failures = []
    if target is not None and all(p.null_count == len(p) for p in Column(table, target)):
        failures.append(Failure(target, "target_present", table.num_rows))
    if time is None:
        return table, failures
    mistyped, gaps = TypeFailures(), FailingRows()
    for part in Column(table, time):
        mistyped.add(part, casts.cast(part, dtypes.DATETIME, examples=_EXAMPLES))
        gaps.add(part.is_null().to_numpy() if part.null_count else None, len(part))
    if mistyped.count:
        failures.append(_failure(mistyped.failure(time, dtypes.DATETIME)))
    elif gaps.mask is not None:
        rows = first_rows(gaps.mask, _EXAMPLES)
        examples = tuple(Example(row + 1, None) for row in rows)
        failures.append(Failure(time, "not_nullable", int(gaps.mask.sum()), examples))
    else:
        table = revise(table, {time: rule_failure.into(dtypes.DATETIME)})
    return table, failures
