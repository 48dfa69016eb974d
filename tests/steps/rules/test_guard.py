from datetime import datetime

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.steps.inputs.columns import KINDS, Column, InputSchema
from mlkit.steps.rules import failing_rules, rule_file
from mlkit.steps.rules.guard import Guard
from mlkit.steps.rules.rule_failure import Circumstances
from mlkit.steps.rules.schema import Rule, Schema

CHECKS = [
    "c0 <= c1", "c0 - c1 > 1", "c0 / c1 != 1", "c0 == c1", "not c0 or c1", "c0 % c1 < 2",
    "abs(c0) >= 0", "-c0 <= c1", "c0 <= 9007199254740992.0", "c0 != 9007199254740993",
    "c0 > -9223372036854775808", "c0 in (1, 2.5, -9007199254740993)",
]  # fmt: skip

Cell = tuple[int, tuple[str, ...], str]


def _inputs(table: pa.Table) -> InputSchema:
    kinds = zip(table.column_names, table.schema.types, strict=True)
    columns = tuple(Column(name=n, kind=KINDS[k], nullable=True) for n, k in kinds)
    return InputSchema(columns=columns, target="y", task="regression")


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    columns = [[_sent(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns, strict=True))


def _sent(value: object) -> object:
    """Return a value as the reader hands it on: a time as text."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return value


def _of_table(table: pa.Table, schema: Schema, guard: Guard) -> set[Cell]:
    asked = {(test.columns, test.rule) for test in guard.tests}
    return {
        (int(row), failure.columns, failure.rule.label)
        for failure in failing_rules.find(table, schema, Circumstances())
        if failure.rows is not None and (failure.columns, failure.rule.label) in asked
        for row in np.flatnonzero(failure.rows)
    }


def _of_rows(rows: list[tuple[object, ...]] | np.ndarray, guard: Guard) -> set[Cell]:
    return {(b.row, b.test.columns, b.test.rule) for b in guard.find(rows)}


@settings(max_examples=250, deadline=None)
@given(st.data(), st.sampled_from(CHECKS))
def test_the_check_of_a_row_and_that_of_a_table_agree_cell_by_cell(
    rule_cases: st.SearchStrategy[tuple[pa.Table, Schema]], data: st.DataObject, check: str
) -> None:
    table, schema = data.draw(rule_cases)
    schema = Schema(schema.columns, (Rule("check", {"text": check}),))
    guard = Guard(schema, _inputs(table))
    assert _of_rows(_rows(table), guard) == _of_table(table, schema, guard)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=6), st.floats(-5, 5), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_a_matrix_is_judged_as_its_rows_are(
    rows: list[tuple[float, float]], low: float, inside: bool, listed: bool
) -> None:
    more = "isin: [1.0, 2.0]" if listed else "less_than: 3"
    text = f"""columns:
      a: {{dtype: float64, in_range: {{min_value: {low}, max_value: 6, include_min: {inside}}}}}
      b: {{nullable: true, {more}}}"""
    columns = tuple(Column(name=name, kind="number", nullable=True) for name in "ab")
    inputs = InputSchema(columns=columns, target="y", task="regression")
    guard = Guard(rule_file.from_yaml(text, "x.yaml"), inputs)
    listed_rows = [tuple(None if v != v else v for v in row) for row in rows]
    matrix = np.array(rows, dtype=float).reshape(len(rows), 2)
    missing = np.isnan(matrix).any()
    found = _of_rows(matrix, guard)
    assert found == _of_rows(listed_rows, guard) or missing


def test_rules_of_many_rows_and_of_columns_that_the_model_lacks_are_not_asked() -> None:
    text = """
    columns:
      a: {dtype: Int64, unique: true, monotone: increasing, less_than: 5}
      y: {dtype: Int64, less_than: 5}
      id: {dtype: string}
    checks: [a < y, a != 3]
    keys: [[id]]
    rows: {min_value: 9}
    """
    inputs = InputSchema(columns=(Column(name="a", kind="integer"),), target="y", task="regression")
    guard = Guard(rule_file.from_yaml(text, "x.yaml"), inputs)
    assert [test.rule for test in guard.tests] == ["less_than(5)", "a != 3"]
    assert [(b.row, b.test.rule) for b in guard.find([(3,), (4,), (7,)])] == [
        (0, "a != 3"), (2, "less_than(5)"),
    ]  # fmt: skip
