"""A rule that fails: which rows of which columns, and the first values that break it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pyarrow as pa

from mlkit.steps.rules.failing_rows import first_rows
from mlkit.steps.rules.schema import (
    Rule,
    Schema,
    types,
)
from mlkit.steps.tables import casts
from mlkit.steps.tables.revised_table import Change, revise
from mlkit.steps.tables.tabular import Column, Mask

if TYPE_CHECKING:
    from mlkit.steps.drift.result import DriftResult

Typed = Literal["file", "query"]

_EXAMPLES = 5


class Circumstances(NamedTuple):
    """What some rules ask beside the rows: the time, and how the rows differ from those before.

    Without ``now`` nothing is too old, and without ``drift`` (the first version has nothing
    before it) nothing has drifted. Where the rows come ``typed`` (Parquet, or a query), a column of
    another type is not read as the wanted one; in CSV all is text.
    """

    now: datetime | None = None
    drift: "Callable[[pa.Table], DriftResult | None] | None" = None
    typed: Typed | None = None


class RuleFailure(NamedTuple):
    """A rule that fails: in which rows, or (without ``rows``) by the whole, as ``said``.

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


def into(kind: pa.DataType) -> Change:
    """Return what gives values the type ``kind``, null where one does not fit."""
    return lambda values: casts.cast(values, kind).column


def fitted(column: Column, schema: Schema) -> Column:
    """Return a column in the type that the schema wants, null where a value does not fit."""
    wanted = types(schema).get(column.name)
    if wanted is None or wanted == column.type:
        return column
    return Column(revise(column.table, {column.name: into(wanted)}), column.name)


def by_rows(
    names: tuple[str, ...], rule: Rule, rows: Mask, columns: Sequence[Column]
) -> RuleFailure:
    """Return the failure of ``rule`` in the rows of a mask, with the first values."""
    first = tuple(_shown(names, columns, first_rows(rows, _EXAMPLES)))
    return RuleFailure(names, rule, rows, first, total=int(rows.sum()))


def _shown(
    names: tuple[str, ...], columns: Sequence[Column], rows: Sequence[int]
) -> Iterator[tuple[int, Any]]:
    """Yield ``rows``, which are in order, each with its values."""
    start = 0
    for part in zip(*columns, strict=True):
        end = start + len(part[0])
        for row in rows:
            if start <= row < end:
                values = [column[row - start].as_py() for column in part]
                told = (f"{n}={value}" for n, value in zip(names, values, strict=True))
                yield row, values[0] if len(values) == 1 else ", ".join(told)
        start = end
        if not rows or rows[-1] < end:
            return
