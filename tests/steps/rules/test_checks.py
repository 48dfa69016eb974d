from collections.abc import Iterable

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlkit.steps.rules import checks
from mlkit.steps.rules.checks import Example, Failure
from mlkit.steps.tables import casts, dtypes


def _failures(old: pa.Table, new: pa.Table) -> dict[tuple[str, str], Failure]:
    found = checks.check(new, checks.infer(old))
    return {(failure.column, failure.rule): failure for failure in found.failures}


def test_a_range_is_widened_by_its_span_and_stays_above_zero_if_all_was() -> None:
    old = pa.table({"age": [20, 50], "change": [-1.0, 1.0]})
    assert not _failures(old, pa.table({"age": [0, 80], "change": [-3.0, 3.0]}))
    assert set(_failures(old, pa.table({"age": [-1, 81], "change": [-3.1, 0.0]}))) == {
        ("age", "in_range(0, 80)"),
        ("change", "in_range(-3.0, 3.0)"),
    }


def test_few_text_values_are_categories_and_many_are_not() -> None:
    old = pa.table({"plan": ["a", "b"] * 10, "note": [f"n{i}" for i in range(20)]})
    failures = _failures(old, pa.table({"plan": ["a", "c", None], "note": ["new", "x", "y"]}))
    assert failures[("plan", "isin(['a', 'b'])")].examples == (Example(2, "c"),)
    assert failures[("plan", "not_nullable")].examples == (Example(3, None),)
    assert all(column == "plan" for column, _ in failures)


def test_the_classes_of_a_target_are_known_even_if_each_came_once() -> None:
    schema = checks.infer(pa.table({"y": ["a", "b"]}), target="y")
    assert checks.check(pa.table({"y": ["c"]}), schema).failures


def test_a_constant_column_and_the_time_column_get_no_range() -> None:
    old = pa.table({"k": [1, 1], "day": pa.array([0, 1]).cast(dtypes.DATETIME), "id": [1, 2]})
    schema = checks.infer(old, time="day", entity="id")
    new = pa.table({"k": [9], "day": pa.array([10**9]).cast(dtypes.DATETIME), "id": [99]})
    assert not checks.check(new, schema).failures


@pytest.mark.parametrize(
    ("name", "ids"),
    [("order_id", range(1000, 1010)), ("orderId", [3, 3, 7, 9]), ("nr", range(100))],
)
def test_ids_that_grow_get_no_range(name: str, ids: Iterable[int]) -> None:
    assert not _failures(pa.table({name: list(ids)}), pa.table({name: [10**6]}))


def test_whole_numbers_that_are_no_ids_get_a_range() -> None:
    old = pa.table({"age": [20 + n % 40 for n in range(100)]})
    assert _failures(old, pa.table({"age": [10**6]}))


def test_whole_numbers_fit_a_column_of_numbers_and_gaps_fit_every_type() -> None:
    old = pa.table({"x": [0.5, 2.5], "s": pa.array(["a", None])})
    new = pa.table({"x": [1, 2], "s": pa.nulls(2, dtypes.NUMBER)})
    schema = checks.infer(old)
    assert not checks.check(new, schema).failures
    assert checks.conform(new, schema).select(new.column_names).schema.types == [
        dtypes.NUMBER,
        dtypes.TEXT,
    ]


def test_a_wrong_type_is_reported_with_its_rows_and_nothing_else_about_that_column() -> None:
    old = pa.table({"age": [20, 30, 40]})
    failures = _failures(old, pa.table({"age": ["21", "x", None]}))
    assert list(failures) == [("age", "type(integer)")]
    assert failures[("age", "type(integer)")].examples == (Example(2, "x"),)


def test_a_missing_column_is_a_failure_and_a_new_one_a_warning() -> None:
    found = checks.check(pa.table({"b": [1]}), checks.infer(pa.table({"a": [1]})))
    assert found.failures == (Failure("a", "column_present", 1),)
    assert found.warnings == ("new_column: 'b' is not in the schema; kept, unchecked",)


def test_a_strict_schema_refuses_a_new_column() -> None:
    schema = checks.from_yaml("columns: {a: {}}\nstrict: true", "x.yaml")
    found = checks.check(pa.table({"a": [1], "b": [1]}), schema)
    assert [(f.column, f.rule) for f in found.failures] == [("b", "column_known")]


def test_columns_in_another_order_take_the_order_of_the_schema() -> None:
    schema = checks.infer(pa.table({"a": [1], "b": [2]}))
    conformed = checks.conform(pa.table({"new": [0], "b": [2], "a": [1]}), schema)
    assert conformed.column_names == ["a", "b", "new"]


def test_examples_are_five_and_the_count_is_all() -> None:
    old = pa.table({"age": [20, 30]})
    (failure,) = _failures(old, pa.table({"age": [500] * 40})).values()
    assert (failure.count, len(failure.examples)) == (40, 5)


def test_a_rule_that_cannot_run_on_the_column_is_a_failure_and_no_traceback() -> None:
    schema = checks.from_yaml("columns: {a: {dtype: Int64, str_length: {max_value: 3}}}", "x.yaml")
    found = checks.check(pa.table({"a": [1, 2]}), schema)
    assert [failure.column for failure in found.failures] == ["a"]


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (pa.array(["2026-01-01", "soon"]), "type(datetime)"),
        (pa.array([2024, 2025]), "type(datetime)"),
        (pa.array(["2026-01-01", None]), "not_nullable"),
    ],
)
def test_a_time_column_must_hold_times_in_every_row(values: pa.Array, rule: str) -> None:
    _, failures = checks.keyed(pa.table({"day": values}), target=None, time="day")
    assert [failure.rule for failure in failures] == [rule]


def test_a_target_needs_at_least_one_value() -> None:
    table = pa.table({"y": pa.nulls(3, dtypes.NUMBER)})
    _, failures = checks.keyed(table, target="y", time=None)
    assert failures == [Failure("y", "target_present", 3)]


_COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8),
    st.lists(
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1, max_size=8,
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=8),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=8),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(_COLUMNS)
@example([None, "\x85"])
@example(["a\u2028b", "a\u2028b", "\r\n"])
def test_rows_always_pass_the_rules_inferred_from_them(values: list[object]) -> None:
    column = pa.chunked_array([pa.array(values)])
    table = pa.table({"x": casts.canonical(column, "x")})
    schema = checks.from_yaml(checks.to_yaml(checks.infer(table)), "x.yaml")
    assert checks.check(table, schema).failures == ()
    assert checks.conform(table, schema).column("x").to_pylist() == table.column("x").to_pylist()
