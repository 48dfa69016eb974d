"""Tables and the rules that a user may write for them, as hypothesis draws them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from mlkit.steps.rules.schema import NOT_NULLABLE, UNIQUE, ColumnRules, Rule, Schema
from mlkit.steps.tables import dtypes

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ["", "a", "b", "ab", "Ab", "aB1", "é", "中文", "a\n", "-", " a"]


def _column(kind: pa.DataType, values: Sequence[object]) -> pa.ChunkedArray:
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])


INTEGERS = st.one_of(st.integers(-9, 9), st.integers(-(2**63), 2**63 - 1))
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.5]), st.floats(allow_nan=False, allow_infinity=True)
)
TIMES = st.integers(-3, 3).map(lambda days: MOMENT + timedelta(days=days, microseconds=days))
VALUES = {
    dtypes.INTEGER: INTEGERS,
    dtypes.NUMBER: FLOATS,
    dtypes.TEXT: st.one_of(st.sampled_from(TEXTS), st.text(max_size=4)),
    dtypes.BOOLEAN: st.booleans(),
    dtypes.DATETIME: TIMES,
}
BOUNDS = {
    dtypes.INTEGER: st.one_of(INTEGERS, st.floats(-9, 9)),
    dtypes.NUMBER: st.one_of(FLOATS, INTEGERS),
}
PATTERNS = st.sampled_from(
    ["^a", "a", "[A-Z]", "^[a-z]*$", "a|b", "(?:a)a", r"\d", r"\s|\w", "b$", "^a|b", r"\.",
     "[a-z]{2}", "[^]a]", "x{", r"[\]\w-]", r"^[^\d]{1,2}$"]
)  # fmt: skip


@st.composite
def _rule(draw: st.DrawFn, kind: pa.DataType) -> Rule:
    """A rule that a user may write for a column, whether it fits its type or not."""
    fitting = BOUNDS.get(kind, VALUES[kind])
    value = draw(st.one_of(fitting, st.sampled_from([3, "a", True, 1.5])) if draw(
        st.integers(0, 9)) == 0 else fitting)  # fmt: skip
    name = draw(st.sampled_from([
        NOT_NULLABLE, UNIQUE, "in_range", "isin", "notin", "equal_to", "not_equal_to",
        "greater_than", "less_than", "greater_than_or_equal_to", "less_than_or_equal_to",
        "str_matches", "str_contains", "str_startswith", "str_endswith", "str_length",
        "unique_values_eq",
    ]))  # fmt: skip
    if name in (NOT_NULLABLE, UNIQUE):
        return Rule(name)
    if name == "in_range":
        low, high = sorted([draw(fitting), draw(fitting)])
        inside = {"include_min": draw(st.booleans()), "include_max": draw(st.booleans())}
        inside = {} if low == high else inside
        return Rule(name, {"min_value": low, "max_value": high, **inside})
    if name in ("isin", "notin", "unique_values_eq"):
        listed = [*draw(st.lists(VALUES[kind], max_size=3)), value]
        key = {"isin": "allowed_values", "notin": "forbidden_values"}.get(name, "values")
        return Rule(name, {key: listed})
    if name in ("str_matches", "str_contains"):
        return Rule(name, {"pattern": draw(PATTERNS)})
    if name in ("str_startswith", "str_endswith"):
        return Rule(name, {"string": draw(st.sampled_from(TEXTS))})
    if name == "str_length":
        return Rule(
            name, {draw(st.sampled_from(["min_value", "max_value"])): draw(st.integers(0, 3))}
        )
    key = "value" if "equal_to" in name and "than" not in name else (
        "min_value" if "greater" in name else "max_value")  # fmt: skip
    return Rule(name, {key: value})


@st.composite
def _case(draw: st.DrawFn) -> tuple[pa.Table, Schema]:
    """A canonical table and rules about its columns."""
    length = draw(st.integers(0, 9))
    columns, wanted = {}, {}
    for place, kind in enumerate(
        draw(st.lists(st.sampled_from(list(VALUES)), max_size=3, min_size=1))
    ):
        cell = st.one_of(VALUES[kind], VALUES[kind], st.none())
        name = f"c{place}"
        columns[name] = _column(kind, draw(st.lists(cell, min_size=length, max_size=length)))
        found = draw(st.lists(_rule(kind), max_size=3, unique_by=lambda rule: rule.name))
        wanted[name] = ColumnRules(None, rules=tuple(found))
    return pa.table(columns), Schema(wanted)


@pytest.fixture(scope="session")
def rule_cases() -> st.SearchStrategy[tuple[pa.Table, Schema]]:
    """Canonical tables with rules, such as fit them and such as do not."""
    return _case()
