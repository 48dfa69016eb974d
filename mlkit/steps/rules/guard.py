"""Check requests against the rules of the training data, row by row, without a data frame.

Checked are rules about one row: ranges, lists, patterns, lengths, missing values, checks across
columns. Not checked are rules about many rows (keys, order, drift, counts), and rules with options
or for another column type.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs.columns import ARROW_TYPES, InputSchema
from mlkit.steps.inputs.rows import Rows
from mlkit.steps.rules import expressions, masks, text_rules
from mlkit.steps.rules.schema import CHECK, NOT_NULLABLE, Level, Rule, Schema
from mlkit.steps.tables import dtypes

Holds = Callable[[Any], bool]
Row = tuple[object, ...]


class Test(NamedTuple):
    """One rule about columns of a row, which ``holds`` evaluates row by row.

    If that is None, ``failing`` takes all rows and returns the indexes of failing ones.
    """

    columns: tuple[str, ...]
    rule: str
    level: Level
    holds: Callable[[Row], bool] | None
    failing: Callable[[Sequence[Row]], Sequence[int]] | None = None


class RowFailure(NamedTuple):
    """A rule that a row breaks; rows count from 0."""

    row: int
    test: Test


class Guard:
    """Find the rows that break rules, for one model version."""

    def __init__(self, schema: Schema, inputs: InputSchema) -> None:
        found = [*_of_columns(schema, inputs), *_across(schema, inputs)]
        self.tests = tuple(test for test, _ in found)
        self._of_rows = [(test, test.holds) for test in self.tests if test.holds is not None]
        self._of_many = [(test, test.failing) for test in self.tests if test.failing is not None]
        self._box = _box([edges for _, edges in found if edges is not None], len(inputs.columns))
        self._only_ranges = all(edges is not None for _, edges in found)

    def find(self, rows: Rows | np.ndarray) -> list[RowFailure]:
        """Return the failures of the rows; rows given as a matrix are all numeric."""
        if isinstance(rows, np.ndarray):
            low, high = self._box
            if self._only_ranges and not ((rows < low) | (rows > high)).any():
                return []
            rows = [tuple(None if v != v else v for v in row) for row in rows.tolist()]  # NaN
        found = [
            RowFailure(number, test)
            for number, row in enumerate(rows)
            for test, holds in self._of_rows
            if not holds(row)
        ]
        if not self._of_many:  # the common case: already sorted
            return found
        found += [RowFailure(n, test) for test, failing in self._of_many for n in failing(rows)]
        return sorted(found, key=lambda failure: failure.row)


class _Edges(NamedTuple):
    """The range that a rule allows for the numbers of a column."""

    place: int
    low: float
    high: float


def _box(edges: Sequence[_Edges], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the intersection of all ranges of each column."""
    low, high = np.full(width, -np.inf), np.full(width, np.inf)
    for one in edges:
        low[one.place] = max(low[one.place], one.low)
        high[one.place] = min(high[one.place], one.high)
    return low, high


def _of_columns(schema: Schema, inputs: InputSchema) -> Iterator[tuple[Test, _Edges | None]]:
    for place, column in enumerate(inputs.columns):
        rules = schema.columns.get(column.name)
        kind = ARROW_TYPES[column.kind]
        for rule in rules.rules if rules is not None else ():
            if rule.name == NOT_NULLABLE and not column.nullable:
                continue  # missing values have their own rule
            if rule.name in text_rules.PATTERNS:
                if kind == dtypes.TEXT and not rule.options:
                    unlike = _unlike(place, rule)
                    yield Test((column.name,), rule.label, rule.level, None, unlike), None
                continue
            holds = _value_test(rule, kind)
            if holds is not None:
                test = Test((column.name,), rule.label, rule.level, _at(place, holds, kind))
                yield test, _edges(place, rule, kind)


def _unlike(place: int, rule: Rule) -> Callable[[Sequence[Row]], Sequence[int]]:
    """Return the test of a pattern: all rows in one call of the engine that checks datasets."""

    def failing(rows: Sequence[Row]) -> Sequence[int]:
        values: pa.ChunkedArray = pa.chunked_array([[row[place] for row in rows]], dtypes.TEXT)
        found = text_rules.failing(values, rule)
        return [] if found is None else np.flatnonzero(found).tolist()

    return failing


def _at(place: int, holds: Holds, kind: pa.DataType) -> Callable[[Row], bool]:
    """Return the test of the value at ``place``; a missing value passes."""
    if holds is _present:
        return lambda row: _present(row[place])  # the one test that a missing value fails
    if kind == dtypes.DATETIME:
        return lambda row: row[place] is None or holds(_micros(row[place]))
    return lambda row: row[place] is None or holds(row[place])


def _present(value: object) -> bool:
    return value is not None


@lru_cache(maxsize=4096)
def _micros(text: Any) -> int:
    return expressions.moment(text)


def _value_test(rule: Rule, kind: pa.DataType) -> Holds | None:
    """Return the rule as a test of one value, or None if it is about several."""
    if rule.options:
        return None
    if rule.name == NOT_NULLABLE:
        return _present
    if rule.name in _LISTS:
        return _in_list(rule, kind)
    if masks.bounds(rule) is not None:
        return _in_range(rule, kind)
    return _of_text(rule) if kind == dtypes.TEXT else None


_LISTS: Final[Mapping[str, tuple[str, bool]]] = {
    "isin": ("allowed_values", True),
    "notin": ("forbidden_values", False),
    "equal_to": ("value", True),
    "not_equal_to": ("value", False),
}


def _in_list(rule: Rule, kind: pa.DataType) -> Holds | None:
    key, wanted = _LISTS[rule.name]
    given = rule.arguments[key]
    listed = [v for v in (given if isinstance(given, list) else [given]) if v is not None]
    if not all(masks.fits(kind, value) for value in listed):
        return None
    if kind == dtypes.INTEGER and not all(isinstance(value, int) for value in listed):
        return None
    known = frozenset(masks.plain(value) for value in listed)
    return known.__contains__ if wanted else lambda value: value not in known


def _in_range(rule: Rule, kind: pa.DataType) -> Holds | None:
    edges = masks.bounds(rule)
    assert edges is not None  # noqa: S101  # checked before
    low, high, with_low, with_high = edges
    given = [edge for edge in (low, high) if edge is not None]
    if kind == dtypes.BOOLEAN or not all(masks.fits(kind, edge) for edge in given):
        return None
    low, high = masks.plain(low), masks.plain(high)
    parts: list[Holds] = []
    if low is not None:
        parts.append((lambda v: v >= low) if with_low else (lambda v: v > low))
    if high is not None:
        parts.append((lambda v: v <= high) if with_high else (lambda v: v < high))
    if len(parts) == 1:
        return parts[0]
    if with_low and with_high:
        return lambda v: low <= v <= high
    first, second = parts
    return lambda v: first(v) and second(v)


def _edges(place: int, rule: Rule, kind: pa.DataType) -> _Edges | None:
    """Return the range of a number rule; an exclusive bound becomes the next number inside."""
    edges = masks.bounds(rule) if kind in (dtypes.NUMBER, dtypes.INTEGER) else None
    if edges is None:
        return None
    low, high, with_low, with_high = edges
    lowest = -np.inf if low is None else float(low)
    highest = np.inf if high is None else float(high)
    return _Edges(
        place,
        lowest if with_low else float(np.nextafter(lowest, np.inf)),
        highest if with_high else float(np.nextafter(highest, -np.inf)),
    )


def _of_text(rule: Rule) -> Holds | None:
    arguments = rule.arguments
    if rule.name == "str_startswith":
        start = arguments["string"]
        return lambda text: bool(text.startswith(start))
    if rule.name == "str_endswith":
        end = arguments["string"]
        return lambda text: bool(text.endswith(end))
    if rule.name == "str_length":
        exact = arguments.get("exact_value")
        low = (arguments.get("min_value") or 0) if exact is None else exact
        high = arguments.get("max_value") if exact is None else exact
        return lambda text: low <= len(text) and (high is None or len(text) <= high)
    return None


def _across(schema: Schema, inputs: InputSchema) -> Iterator[tuple[Test, None]]:
    """Yield the checks whose columns are all model inputs."""
    places = {column.name: place for place, column in enumerate(inputs.columns)}
    types = {c.name: ARROW_TYPES[c.kind] for c in inputs.columns}
    for rule in schema.named(CHECK):
        names = expressions.columns_of(rule.arguments["text"])
        if set(names) <= set(places):
            try:
                expression = expressions.compile_text(rule.arguments["text"], types)
            except InvalidInputError:
                continue  # column types differ from the data: the rule does not apply
            found = [(name, places[name], types[name] == dtypes.DATETIME) for name in names]
            holds = _of_row(found, expression)
            yield Test(names, rule.label, rule.level, holds), None


def _of_row(
    columns: Sequence[tuple[str, int, bool]], expression: expressions.Expression
) -> Callable[[Row], bool]:
    def holds(row: Row) -> bool:
        values: dict[str, Any] = {}
        for name, place, is_time in columns:
            value = row[place]
            if value is None:
                return True
            values[name] = _micros(value) if is_time else value
        return bool(expression.holds(values))

    return holds
