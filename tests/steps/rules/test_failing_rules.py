from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera import errors

from mlkit.steps.rules import checks, failing_rules, patterns, rule_file
from mlkit.steps.rules.rule_failure import Circumstances
from mlkit.steps.rules.schema import (
    NOT_NULLABLE,
    UNIQUE,
    VALUE_RULES,
    ColumnRules,
    Rule,
    Schema,
)
from mlkit.steps.rules.text_rules import PATTERNS
from mlkit.steps.tables import dtypes

Cell = tuple[str, str, int]

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
FRAME_TYPES = {
    dtypes.INTEGER: pd.Int64Dtype(),
    dtypes.BOOLEAN: pd.BooleanDtype(),
    dtypes.TEXT: pd.StringDtype("pyarrow"),
}


def _column(kind: pa.DataType, values: Sequence[object]) -> pa.ChunkedArray:
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])


def _ours(table: pa.Table, schema: Schema) -> tuple[set[Cell], set[tuple[str, str]]]:
    cells, whole = set(), set()
    for failure in failing_rules.find(table, schema, Circumstances()):
        if failure.rows is None:
            whole.add((failure.columns[0], failure.rule.label))
        else:
            cells |= {
                (failure.columns[0], failure.rule.label, int(r))
                for r in np.flatnonzero(failure.rows)
            }
    return cells, whole


def _pandera_column(rules: tuple[Rule, ...]) -> pandera.Column:
    names = {rule.name for rule in rules}
    return pandera.Column(
        None,
        checks=[_pandera_check(rule) for rule in rules if rule.name in VALUE_RULES],
        nullable=NOT_NULLABLE not in names,
        unique=UNIQUE in names,
    )


def _pandera_check(rule: Rule) -> pandera.Check:
    known = getattr(pandera.Check, rule.name)
    check = _pattern_check(rule) if rule.name in PATTERNS else known(**rule.arguments)
    for name, value in rule.options.items():
        setattr(check, name, value)
    return check


def _pattern_check(rule: Rule) -> pandera.Check:
    """Return pandera's check with our engine, whose patterns have limits of their own."""
    pattern, at_start = rule.arguments["pattern"], rule.name == "str_matches"

    def holds(column: pd.Series) -> pd.Series:
        texts = column.str.slice().to_list()  # raises for a column of no texts
        whole = pa.chunked_array([pa.array(texts, pa.string(), from_pandas=True)])
        return pd.Series(patterns.found(whole, pattern, at_start=at_start), column.index)

    return pandera.Check(holds, name=rule.name, error=rule.label)


def _pandera(table: pa.Table, schema: Schema) -> tuple[set[Cell], set[tuple[str, str]]]:
    columns = {name: _pandera_column(c.rules) for name, c in schema.columns.items()}
    frame = table.to_pandas(types_mapper=FRAME_TYPES.get)
    cells, whole = set(), set()
    try:
        pandera.DataFrameSchema(columns).validate(frame, lazy=True)
    except errors.SchemaErrors as broken:
        for _, case in broken.failure_cases.iterrows():
            if case["index"] is None or case["index"] != case["index"]:
                whole.add((case["column"], case["check"]))
            else:
                cells.add((case["column"], case["check"], int(case["index"])))
    return cells, whole


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_the_compiled_check_and_pandera_agree_cell_by_cell(
    rule_cases: st.SearchStrategy[tuple[pa.Table, Schema]], data: st.DataObject
) -> None:
    table, schema = data.draw(rule_cases)
    assert _ours(table, schema) == _pandera(table, schema)


@pytest.mark.parametrize(
    "options",
    [
        {"ignore_na": True}, {"ignore_na": False}, {"n_failure_cases": 1}, {"title": "x"},
        {"description": "x"}, {"element_wise": True}, {"groupby": "c"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    ("kind", "values", "rule", "arguments"),
    [
        (dtypes.NUMBER, [1.0, 2.0, None], "greater_than", {"min_value": 9}),
        (dtypes.NUMBER, [1.0, 2.0, None], "less_than", {"max_value": 9}),
        (dtypes.NUMBER, [1.0, 2.0, None], "isin", {"allowed_values": [2]}),
        (dtypes.NUMBER, [1.0, 2.0, None], "notin", {"forbidden_values": [2]}),
        (dtypes.NUMBER, [1.0, 2.0, None], "not_equal_to", {"value": 1}),
        (dtypes.NUMBER, [1.0, 2.0, None], "unique_values_eq", {"values": [1, 2]}),
        (dtypes.DATETIME, [MOMENT, None], "greater_than", {"min_value": MOMENT}),
        (dtypes.BOOLEAN, [True, None], "isin", {"allowed_values": [1]}),
        (dtypes.TEXT, ["a", None], "str_startswith", {"string": "a"}),
        (dtypes.TEXT, ["a", "b", None], "str_matches", {"pattern": "z"}),
        (dtypes.TEXT, ["a", None], "str_length", {"min_value": 1}),
    ],
)
def test_options_mean_what_pandera_means_by_them(
    kind: pa.DataType,
    values: list[object],
    rule: str,
    arguments: dict[str, Any],
    options: dict[str, Any],
) -> None:
    table = pa.table({"c": _column(kind, values)})
    schema = Schema({"c": ColumnRules(None, rules=(Rule(rule, arguments, options=options),))})
    assert _ours(table, schema) == _pandera(table, schema)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "in_range: {min_value: a, max_value: b}",
            "the column holds integer, which does not compare with 'a'",
        ),
        ("str_matches: '^a'", "the column holds integer, not text"),
        ("unique_values_eq: [1]", "False"),
        ("equal_to: {value: 1, element_wise: true}", "the option element_wise is for functions"),
    ],
)
def test_a_rule_that_does_not_fit_its_column_is_broken_as_a_whole(rule: str, said: str) -> None:
    (line,) = _said(pa.table({"a": [1, 2]}), f"columns: {{a: {{{rule}}}}}")
    assert " broken: " in line
    assert said in line


def _said(table: pa.Table, text: str, circumstances: Circumstances | None = None) -> list[str]:
    found = checks.check(table, rule_file.from_yaml(text, "x.yaml"), circumstances)
    return [line.strip() for line in checks.lines(found.failures)]


def _days(*days: int | None) -> pa.ChunkedArray:
    return _column(dtypes.DATETIME, [d if d is None else MOMENT + timedelta(days=d) for d in days])


@pytest.mark.parametrize(
    ("check", "rows"),
    [
        ("end >= start", "1"),
        ("end - start <= 86400", "3"),
        ("start + 86400 * 2 >= end", "3"),
        ("start > '2026-01-02'", "1, 2"),
        ("total == price * 2", "2, 3"),
        ("abs(total - price * 2) < 1", "2, 3"),
        ("not flag or total > 2", "1"),
        ("plan in ('a', 'b') or `unit price` / price > 1", "3"),
        ("total / price >= 0", "3"),
        ("1 < total <= 5", "3"),
        ("-total % 3 != 1", "1, 2, 3"),
    ],
)
def test_a_check_across_columns_finds_the_rows_that_break_it(check: str, rows: str) -> None:
    table = pa.table(
        {
            "start": _days(0, 1, 2, 3),
            "end": _days(-1, 2, 9, None),
            "total": [2, 5, -1, None],
            "price": [1.0, 2.0, 0.0, 1.0],
            "unit price": [0.5, 4.0, -1.0, 0.0],
            "flag": [True, False, False, True],
            "plan": ["a", "c", "d", None],
        }
    )
    columns = "start: {}, total: {nullable: true}, price: {}, 'unit price': {}, flag: {}"
    text = f"columns: {{{columns}, plan: {{nullable: true}}, end: {{nullable: true}}}}\n"
    schema = rule_file.from_yaml(f'{text}checks: ["{check}"]', "x.yaml")
    (failure,) = failing_rules.find(table, schema, Circumstances())
    assert ", ".join(str(row + 1) for row in np.flatnonzero(failure.rows)) == rows


def test_a_broken_check_shows_the_values_of_its_columns() -> None:
    text = "columns: {a: {}, b: {}}\nchecks: [b >= a]"
    assert _said(pa.table({"a": [1, 5], "b": [2, 3]}), text) == [
        "'b, a': b >= a broken in 1 rows, first 'b=3, a=5' in row 2"
    ]


def test_a_key_repeats_nothing_and_has_no_gaps() -> None:
    table = pa.table({"order": [1, 1, 1, None], "line": ["a", "b", "a", "a"]})
    columns = "columns: {order: {nullable: true}, line: {}}\n"
    (line,) = _said(table, columns + "keys: [[order, line]]")
    assert "key(['order', 'line']) broken in 3 rows" in line
    (line,) = _said(table, columns + "unique: [order, line]")
    assert "multiple_fields_uniqueness broken in 2 rows" in line


@pytest.mark.parametrize(
    ("order", "rows"),
    [("increasing", [3]), ("strictly_increasing", [1, 3]), ("decreasing", [2]),
     ("strictly_decreasing", [1, 2])],
)  # fmt: skip
def test_a_column_in_order_names_the_rows_without_which_it_is(order: str, rows: list[int]) -> None:
    schema = rule_file.from_yaml(f"columns: {{t: {{nullable: true, monotone: {order}}}}}", "x.yaml")
    for column in (_days(1, 1, 2, 0, None), _column(dtypes.NUMBER, [1.0, 1.0, 2.0, 0.0, None])):
        table = pa.table({"t": column})
        (failure,) = failing_rules.find(table, schema, Circumstances())
        assert np.flatnonzero(failure.rows).tolist() == rows
        rest = table.filter(pa.array(~failure.rows))
        assert not list(failing_rules.find(rest, schema, Circumstances()))


def test_data_that_are_too_old_are_refused_by_the_clock_that_is_passed_in() -> None:
    table = pa.table({"day": _days(0, 3)})
    text = "columns: {day: {fresh: 2d}}"
    assert not _said(table, text, Circumstances(MOMENT + timedelta(days=5)))
    assert _said(table, text, Circumstances(MOMENT + timedelta(days=6))) == [
        "'day': fresh(2d) broken: the newest is 2026-01-04 00:00:00.000000Z, 3.0 d ago"
    ]


def test_too_few_rows_and_too_many_gaps_are_said_with_their_numbers() -> None:
    table = pa.table({"a": [1, None, None]})
    text = "columns: {a: {max_missing: 0.5}}\nrows: {min_value: 4}"
    assert _said(table, text) == [
        "'a': max_missing(0.5) broken: 2 of 3 values are missing (66.67%)",
        "'(all columns)': rows(4, None) broken: there are 3 rows",
    ]


def test_a_rule_that_only_warns_refuses_nothing() -> None:
    text = "columns: {a: {warn: {less_than: 3, nullable: false}}}\nwarn: {rows: {min_value: 9}}"
    found = checks.check(pa.table({"a": [1, 5, None]}), rule_file.from_yaml(text, "x.yaml"))
    assert not found.failures
    assert found.warnings == (
        "rule_broken: 'a': not_nullable broken in 1 rows, first None in row 3",
        "rule_broken: 'a': less_than(3) broken in 1 rows, first 5 in row 2",
        "rule_broken: '(all columns)': rows(9, None) broken: there are 3 rows",
    )


def test_a_time_range_is_written_as_times() -> None:
    bounds = "{min_value: 2026-01-01, max_value: '2026-01-03T00:00:00+01:00'}"
    text = f"columns: {{day: {{dtype: datetime, in_range: {bounds}}}}}"
    (line,) = _said(pa.table({"day": _days(0, 1, 2)}), text)
    assert "broken in 1 rows, first '2026-01-03T00:00:00+00:00' in row 3" in line


@pytest.mark.parametrize("written", ["'2026-01-02'", "2026-01-02", "'2026-01-02T01:00+01:00'"])
@pytest.mark.parametrize(
    ("rule", "rows"),
    [("greater_than: {}", [0, 1]), ("equal_to: {}", [0, 2]), ("isin: [{}]", [0, 2]),
     ("in_range: {{min_value: {0}, max_value: {0}}}", [0, 2])],
)  # fmt: skip
def test_times_are_times_where_the_rules_name_no_type(
    written: str, rule: str, rows: list[int]
) -> None:
    schema = rule_file.from_yaml(f"columns: {{t: {{{rule.format(written)}}}}}", "x.yaml")
    (breach,) = failing_rules.find(pa.table({"t": _days(0, 1, 2)}), schema, Circumstances())
    assert np.flatnonzero(breach.rows).tolist() == rows


def test_only_the_columns_that_the_rules_name_are_looked_at() -> None:
    class OnDisk:
        """A table that gives one column at a time, and only those that have rules."""

        column_names = ("a", "b", "c")
        num_rows = 2

        def column(self, name: str) -> pa.ChunkedArray:
            assert name in ("a", "b")
            return _column(dtypes.INTEGER, [1, 2])

        def select(self, names: list[str]) -> pa.Table:
            raise AssertionError(names)

    schema = rule_file.from_yaml("columns: {a: {unique: true}, b: {}}\nchecks: [a <= b]", "x.yaml")
    assert not checks.check(OnDisk(), schema).failures  # type: ignore[arg-type]  # a stand-in
