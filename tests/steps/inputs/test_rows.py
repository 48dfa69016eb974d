"""The quick way to read rows and the one by single values say the same of every body."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import encode
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

SCHEMA = InputSchema(
    columns=(
        Column(name="age", kind="integer"),
        Column(name="net worth", kind="number", nullable=True),
        Column(name="class", kind="category", categories=("a", "b"), nullable=True),
        Column(name="ok", kind="boolean"),
        Column(name="at", kind="datetime", nullable=True),
    ),
    target="y",
    task="regression",
)
ROW: dict[str, Any] = {
    "age": 3, "net worth": 1.5, "class": "a", "ok": True, "at": "2026-01-01T01:00:00+01:00",
}  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", "", "é", "2026-01-01", "2026-01-01T00:00:00Z", "soon"]),
    st.lists(st.integers(), max_size=2),
)


def _quick(reader: Reader, rows: list[Any]) -> Any:
    decoder = msgspec.json.Decoder(list[reader.row_type])  # type: ignore[name-defined]
    try:
        return reader.typed(decoder.decode(json.dumps(rows).encode()))
    except (msgspec.DecodeError, InvalidInputError):
        return None


@settings(max_examples=300)
@given(
    st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys([*ROW, "more"], VALUES)).map(
            lambda changes: {**ROW, **changes}
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_the_quick_way_accepts_the_other_reads_alike(rows: list[Any]) -> None:
    reader = Reader(SCHEMA)
    quick = _quick(reader, rows)
    if quick is not None:
        assert repr(quick) == repr(reader.objects(rows))


@pytest.mark.parametrize("name", list(ROW))
def test_a_missing_column_is_refused_both_ways(name: str) -> None:
    reader = Reader(SCHEMA)
    row = {key: value for key, value in ROW.items() if key != name}
    assert _quick(reader, [row]) is None
    with pytest.raises(InvalidInputError, match=f"'{name}': missing"):
        reader.objects([row])


def test_rows_columns_and_lists_are_the_same_rows() -> None:
    reader = Reader(SCHEMA)
    rows = [ROW, {**ROW, "age": 4, "class": None, "net worth": None, "at": None}]
    expected = reader.objects(rows)
    assert reader.columns({name: [row[name] for row in rows] for name in ROW}) == expected
    names = list(ROW)[::-1]
    assert reader.lists(names, [[row[name] for name in names] for row in rows]) == expected
    assert _quick(reader, rows) == expected
    matrix = encode.matrix(SCHEMA, list(zip(*expected, strict=True)))
    assert np.array_equal(reader.matrix(expected), matrix, equal_nan=True)


def test_the_matrix_of_plain_numbers_is_the_same_either_way() -> None:
    schema = msgspec.structs.replace(SCHEMA, columns=(SCHEMA.columns[0], *SCHEMA.columns[1:4:2]))
    reader = Reader(schema)
    rows = [(2**53 + 1, 0.1, True), (-(2**63), None, False)]
    assert reader.plain == all(c.kind != "category" for c in schema.columns)
    matrix = encode.matrix(schema, list(zip(*rows, strict=True)))
    assert np.array_equal(reader.matrix(rows), matrix, equal_nan=True)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda r: r.lists(["age", "age"], [[1, 2]]), "'age' is there twice"),
        (lambda r: r.lists(["age"], [[1, 2]]), "row 0 has 2 values for 1 columns"),
        (lambda r: r.columns({"age": [1], "ok": []}), "different lengths: age 1, ok 0"),
        (lambda r: r.objects([{**ROW, "at": "soon"}]), "'at': 'soon' is not a time"),
    ],
)
def test_rows_that_are_no_rows_are_refused_by_name(act: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        act(Reader(SCHEMA))


def test_the_colons_of_a_body_without_twins_are_known() -> None:
    reader = Reader(SCHEMA)
    rows = [ROW, {**ROW, "class": "a:b:c", "at": None}, {**ROW, "at": "2026-01-01"}]
    came = [tuple(row.values()) for row in rows]
    assert reader.colons(came) == json.dumps(rows).count(":")
