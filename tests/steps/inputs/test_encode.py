import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import encode, schema_inference
from mlkit.steps.inputs.columns import Column, InputSchema

SCHEMA = InputSchema(
    columns=(
        Column(name="x", kind="number", nullable=True),
        Column(name="n", kind="integer"),
        Column(name="b", kind="boolean"),
        Column(name="c", kind="category", nullable=True, categories=("red", "blue")),
        Column(name="t", kind="datetime", nullable=True),
    ),
    target="y",
    task="regression",
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ROW = st.fixed_dictionaries(
    {
        "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "n": st.integers(-(2**53), 2**53),
        "b": st.booleans(),
        "c": st.none() | st.sampled_from(["red", "blue", "green", ""]),
        "t": st.none()
        | st.integers(-(10**15), 10**15).map(lambda n: EPOCH + timedelta(microseconds=n)),
    }
)


def arrow(rows: Any) -> Any:
    types = encode.arrow_types(SCHEMA)
    return pa.Table.from_pylist(rows, schema=pa.schema(list(types.items())))


@settings(max_examples=50)
@given(st.lists(ROW, min_size=1, max_size=8))
def test_a_file_and_json_give_the_same_values_and_bits(rows: Any) -> None:
    sent = [{**row, "t": row["t"] and row["t"].isoformat()} for row in rows]
    from_json = encode.columns_of_rows(SCHEMA, json.loads(json.dumps(sent)))
    from_file = encode.columns_of_table(SCHEMA, arrow(rows))
    assert from_json == from_file
    assert [[type(v) for v in c] for c in from_json] == [[type(v) for v in c] for c in from_file]
    assert encode.matrix(SCHEMA, from_json).tobytes() == encode.matrix(SCHEMA, from_file).tobytes()


def test_the_matrix_has_a_number_for_each_value() -> None:
    row = {"x": None, "n": 3, "b": True, "c": "blue", "t": "2026-03-01T06:30:00Z"}
    found = encode.matrix(SCHEMA, encode.columns_of_rows(SCHEMA, [row]))
    days = (datetime(2026, 3, 1, 6, 30, tzinfo=UTC) - EPOCH).total_seconds() / 86400
    np.testing.assert_array_equal(found, [[np.nan, 3, 1, 1, days, 6.5, 6, 3]])
    assert encode.names(SCHEMA) == ("x", "n", "b", "c", "t:days", "t:hour", "t:weekday", "t:month")
    assert encode.categorical(SCHEMA) == [3]


def test_unseen_categories_and_nulls_are_missing() -> None:
    row = {"x": None, "n": 0, "b": False, "c": "green", "t": None}
    found = encode.matrix(SCHEMA, encode.columns_of_rows(SCHEMA, [row, {**row, "c": None}]))
    assert np.isnan(found[:, [0, 3, 4, 5, 6, 7]]).all()


def test_every_problem_is_named_with_row_and_column() -> None:
    rows = [
        {"x": 1, "n": 1, "b": True, "c": "red", "t": None, "unknown": 5},
        {"x": "1", "n": None, "b": True, "c": "red"},
    ]
    with pytest.raises(InvalidInputError, match="row 1, column 'x'") as caught:
        encode.columns_of_rows(SCHEMA, rows)
    assert caught.value.details["problems"] == [
        {"row": 1, "column": "x", "problem": "'1' is not a number"},
        {"row": 1, "column": "n", "problem": "null"},
        {"row": 1, "column": "t", "problem": "missing"},
    ]


def test_at_most_a_hundred_problems_are_listed() -> None:
    with pytest.raises(InvalidInputError) as caught:
        encode.columns_of_rows(SCHEMA, [{}] * 1000)
    assert len(caught.value.details["problems"]) == 100


def test_a_table_with_wrong_columns_is_refused() -> None:
    table = pa.table({"x": ["a", "b"], "n": [1.5, 2.0], "b": [True, None], "c": ["red", "red"]})
    with pytest.raises(InvalidInputError) as caught:
        encode.columns_of_table(SCHEMA, table, first_row=10)
    problems = {(p["row"], p["column"]) for p in caught.value.details["problems"]}
    assert problems == {(10, "x"), (10, "n"), (11, "b"), (10, "t")}


def test_infinity_and_nan_in_a_file_are_missing() -> None:
    schema = InputSchema(columns=SCHEMA.columns[:1], target="y", task="regression")
    table = pa.table({"x": [1.0, np.inf, np.nan, None]})
    assert encode.columns_of_table(schema, table) == [[1.0, None, None, None]]


def test_the_schema_is_inferred_from_the_rows() -> None:
    table = pa.table(
        {
            "id": pa.array(["a", "b", "c", "d"]),
            "colour": pa.array(["red", "blue", "blue", None]),
            "size": pa.array([1, 2, 3, 4]),
            "weight": pa.array([0.5, None, 1.5, 2.0]),
            "when": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 4, pa.timestamp("us", "UTC")),
            "ok": pa.array([True, False, True, True]),
        }
    )
    schema = schema_inference.infer_schema(table, target="ok", task="classification", ignore={"id"})
    assert schema.classes == (False, True)
    assert schema.columns == (
        Column(name="colour", kind="category", nullable=True, categories=("blue",)),
        Column(name="size", kind="integer", minimum=1.0, maximum=4.0),
        Column(name="weight", kind="number", nullable=True, minimum=0.5, maximum=2.0),
        Column(name="when", kind="datetime"),
    )


def test_what_the_champion_allows_stays_allowed() -> None:
    like = InputSchema(
        columns=(Column(name="a", kind="number", nullable=True),), target="y", task="regression"
    )
    table = pa.table({"a": [1, 2], "y": [1.0, 2.0]})
    schema = schema_inference.infer_schema(table, target="y", task="regression", like=like)
    assert (schema.columns[0].kind, schema.columns[0].nullable) == ("number", True)


def test_at_most_254_categories_are_kept_most_frequent_first() -> None:
    values = [f"v{i:03d}" for i in range(300) for _ in range(300 - i)]
    table = pa.table({"c": values, "y": [1.0] * len(values)})
    column = schema_inference.infer_schema(table, target="y", task="regression").columns[0]
    assert column.categories == tuple(f"v{i:03d}" for i in range(254))
