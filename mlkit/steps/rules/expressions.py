"""Rules across columns, such as ``end >= start``: a small language, never Python's ``eval``.

Comparisons, ``and``, ``or``, ``not``, ``in``, arithmetic, ``abs``, numbers, texts and column names
(in backquotes if they are no Python names). An expression is compiled by the types of its columns;
the same function then evaluates whole columns (numpy) and one row (Python numbers).
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from mlkit import epoch
from mlkit.errors import InvalidInputError
from mlkit.steps import suggestion
from mlkit.steps.tables.dtypes import BOOLEAN, DATETIME, INTEGER, NUMBER, ONE, TEXT

Values = Mapping[str, Any]

MAX_CHARS: Final = 1_000
_DEEPEST: Final = 60
_BACKQUOTED = re.compile(r"`([^`]+)`")
_SECOND: Final = 1_000_000  # microseconds
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_ONLY_EQUAL: Final = (ast.Eq, ast.NotEq)


class Expression(NamedTuple):
    """A rule across columns: ``holds`` takes the values of its columns, arrays or of one row.

    Times are microseconds since 1970; the caller handles missing values.
    """

    text: str
    columns: tuple[str, ...]
    holds: Callable[[Values], Any]


class _Part(NamedTuple):
    """A compiled subexpression: its type (an integer counts as a number), and its function."""

    dtype: pa.DataType
    of: Callable[[Values], Any]
    literal: object = None


def columns_of(text: str) -> tuple[str, ...]:
    """Return the columns used in ``text``; raises InvalidInputError if it is no rule.

    >>> columns_of("end >= start and `unit price` > 0")
    ('end', 'start', 'unit price')
    """
    tree, names = _parse(text)
    found = [names.get(node.id, node.id) for node in _names(tree) if node.id != "abs"]
    if not found:
        raise InvalidInputError(f"'{text}' speaks of no column")
    return tuple(dict.fromkeys(found))


def compile_text(text: str, types: Mapping[str, pa.DataType]) -> Expression:
    """Compile the rule for columns of those types; raises InvalidInputError with the position.

    >>> compile_text("end >= start", {"start": NUMBER, "end": NUMBER}).holds(
    ...     {"start": 1, "end": 3})
    True
    """
    tree, names = _parse(text)
    part = _Compiler(text, types, names).part(tree)
    if part.dtype != BOOLEAN:
        raise InvalidInputError(
            f"'{text}' is {ONE[part.dtype]}, not a comparison that holds or not"
        )
    return Expression(text, columns_of(text), part.of)


def moment(text: str) -> int:
    """Return the microseconds since 1970 of an ISO time, UTC unless it says otherwise.

    >>> moment("1970-01-01T00:00:01")
    1000000
    """
    when = datetime.fromisoformat(text.strip())
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return epoch.to_us(when)


def _parse(text: str) -> tuple[ast.expr, dict[str, str]]:
    """Return the syntax tree, and the columns that are replaced in it by generated names."""
    names: dict[str, str] = {}

    def stand_in(found: re.Match[str]) -> str:
        names[name := f"column_{len(names)}_"] = found.group(1)
        return name

    if len(text) > MAX_CHARS:
        raise InvalidInputError(f"'{text[:60]}...' is longer than {MAX_CHARS:,} characters")
    try:
        tree = ast.parse(_BACKQUOTED.sub(stand_in, text).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInputError(
            f"'{text}' is no comparison: {error.args[0]}; write for example \"end >= start\""
        ) from error
    if _depth(tree.body) > _DEEPEST:
        raise InvalidInputError(f"'{text[:60]}...' is nested too deeply")
    return tree.body, names


def _depth(tree: ast.AST) -> int:
    """Return the depth of a tree; not recursive, because it guards against deep recursion."""
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _names(tree: ast.expr) -> list[ast.Name]:
    """Return the names in a tree, in the order of the text."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


class _Compiler:
    """Compile the nodes of a tree to functions; other nodes are refused by name."""

    def __init__(
        self, text: str, types: Mapping[str, pa.DataType], names: Mapping[str, str]
    ) -> None:
        self._text = text
        self._types = types
        self._names = names

    def part(self, node: ast.expr) -> _Part:
        """Compile ``node``."""
        match node:
            case ast.Name():
                return self._column(self._names.get(node.id, node.id))
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return self._literal(value)
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.UnaryOp(op=ast.Not()):
                holds = self._wanted(node.operand, BOOLEAN)
                return _Part(BOOLEAN, lambda v: holds(v) ^ True)
            case ast.UnaryOp(
                op=ast.USub(), operand=ast.Constant(value=int() | float() as value)
            ) if not isinstance(value, bool):
                return self._literal(-value)
            case ast.UnaryOp(op=ast.USub()):
                number = self._wanted(node.operand, NUMBER)
                return _Part(NUMBER, lambda v: -(number(v) + 0.0))
            case ast.BoolOp():
                return self._joined(node)
            case ast.Compare():
                return self._compared(node)
            case ast.Call(func=ast.Name(id="abs"), args=[inner], keywords=[]):
                number = self._wanted(inner, NUMBER)
                return _Part(NUMBER, lambda v: abs(number(v) + 0.0))
        raise self._wrong(f"'{ast.unparse(node)}' is not in the language of checks")

    def _literal(self, value: bool | float | str) -> _Part:  # noqa: FBT001  # any literal
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._wrong(f"{value} is too large")
        if isinstance(value, bool):
            return _Part(BOOLEAN, lambda _v: value, value)
        return _Part(TEXT if isinstance(value, str) else NUMBER, lambda _v: value, value)

    def _wrong(self, what: str) -> InvalidInputError:
        return InvalidInputError(f"'{self._text}': {what}")

    def _column(self, name: str) -> _Part:
        if name not in self._types:
            hint = suggestion.hint(name, list(self._types))
            raise self._wrong(f"there is no column '{name}'; {hint}")
        dtype = self._types[name]
        return _Part(NUMBER if dtype == INTEGER else dtype, operator.itemgetter(name))

    def _wanted(self, node: ast.expr, dtype: pa.DataType) -> Callable[[Values], Any]:
        part = self.part(node)
        if part.dtype != dtype:
            raise self._wrong(
                f"'{ast.unparse(node)}' is {ONE[part.dtype]} where {ONE[dtype]} is needed"
            )
        return part.of

    def _joined(self, node: ast.BoolOp) -> _Part:
        join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        parts = [self._wanted(value, BOOLEAN) for value in node.values]
        return _Part(BOOLEAN, lambda v: reduce(join, (part(v) for part in parts)))

    def _arithmetic(self, node: ast.BinOp) -> _Part:
        left, right = self.part(node.left), self.part(node.right)
        a, b = left.of, right.of
        form = (left.dtype, type(node.op), right.dtype)
        if form == (DATETIME, ast.Sub, DATETIME):
            return _Part(NUMBER, lambda v: (a(v) - b(v)) / _SECOND)
        if form == (DATETIME, ast.Add, NUMBER):
            return _Part(DATETIME, lambda v: a(v) + b(v) * _SECOND)
        if form == (DATETIME, ast.Sub, NUMBER):
            return _Part(DATETIME, lambda v: a(v) - b(v) * _SECOND)
        operation = _OPERATIONS.get(type(node.op))
        if operation is None or (left.dtype, right.dtype) != (NUMBER, NUMBER):
            raise self._wrong(
                f"'{ast.unparse(node)}' is no arithmetic of this language "
                f"({ONE[left.dtype]} and {ONE[right.dtype]})"
            )
        return _Part(NUMBER, lambda v: operation(a(v) + 0.0, b(v) + 0.0))

    def _compared(self, node: ast.Compare) -> _Part:
        places = [node.left, *node.comparators]
        pairs = [
            self._pair(left, how, right)
            for left, how, right in zip(places, node.ops, places[1:], strict=False)
        ]
        return _Part(BOOLEAN, lambda v: reduce(operator.and_, (pair(v) for pair in pairs)))

    def _pair(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> Callable[[Values], Any]:
        if isinstance(how, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List):
            equal = [self._pair(left, ast.Eq(), one) for one in right.elts]
            if equal:
                negated = isinstance(how, ast.NotIn)
                return lambda v: reduce(operator.or_, (one(v) for one in equal)) ^ negated
        compare = _COMPARISONS.get(type(how))
        if compare is None:
            raise self._wrong(f"only ==, !=, <, <=, >, >= and 'in (...)' compare: {self._text}")
        a, b = self._alike(left, right)
        if a.dtype == BOOLEAN and not isinstance(how, _ONLY_EQUAL):
            raise self._wrong(f"'{ast.unparse(left)}' is true or false; only == and != compare it")
        if a.dtype == NUMBER:
            compare = _in_doubles(compare)
        first, second = a.of, b.of
        return lambda v: compare(first(v), second(v))

    def _alike(self, left: ast.expr, right: ast.expr) -> tuple[_Part, _Part]:
        """Return both sides in one type; a text compared with a time is parsed as a time."""
        a, b = self.part(left), self.part(right)
        if a.dtype == DATETIME and isinstance(b.literal, str):
            b = self._time(b.literal)
        elif b.dtype == DATETIME and isinstance(a.literal, str):
            a = self._time(a.literal)
        if a.dtype != b.dtype:
            raise self._wrong(
                f"{ONE[a.dtype]} ('{ast.unparse(left)}') cannot be compared with {ONE[b.dtype]} "
                f"('{ast.unparse(right)}')"
            )
        return a, b

    def _time(self, text: str) -> _Part:
        try:
            when = moment(text)
        except ValueError as error:
            raise self._wrong(f"'{text}' is not a time; write for example 2026-01-31") from error
        return _Part(DATETIME, lambda _v: when)


def _in_doubles(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wrap ``compare`` so that Python, like numpy, converts an integer to double before it."""

    def apply(a: Any, b: Any) -> Any:
        if isinstance(a, float) or isinstance(b, float):
            return compare(a + 0.0, b + 0.0)
        return compare(a, b)

    return apply


def _undefined(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wrap ``function`` to give the IEEE 754 result where Python raises ZeroDivisionError."""

    def apply(a: Any, b: Any) -> Any:
        if isinstance(b, float) and not b:
            with np.errstate(all="ignore"):
                return function(np.asarray(a), np.float64(b))
        return function(a, b)

    return apply


_OPERATIONS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: _undefined(operator.truediv), ast.Mod: _undefined(operator.mod),
}  # fmt: skip
