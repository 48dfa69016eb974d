"""The Open Inference Protocol: every form of tensor, every datatype, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.server.problems import RefusedError
from mlkit.server.protocols import v2, v2_metadata
from mlkit.server.query import Answers, Message
from mlkit.steps.columns import Column, InputSchema
from mlkit.steps.rows import Reader

NUMBERS = Reader(
    InputSchema(
        columns=tuple(Column(name=name, kind="number") for name in "abc"),
        target="y",
        task="regression",
    )
)
TIME = "2026-01-01T00:00:00.000000Z"


def _message(body: Any, rest: bytes = b"", *, max_rows: int = 10_000) -> Message:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(text))} if rest else {}
    return Message(text + rest, "application/json", headers, max_rows)


def _tensor(name: str, shape: list[int], datatype: str, data: Any = None, **more: Any) -> Any:
    tensor = {"name": name, "shape": shape, "datatype": datatype, **more}
    return tensor if data is None else {**tensor, "data": data}


def _columns(rows: int = 1) -> list[Any]:
    return [
        _tensor("since", [rows], "BYTES", [TIME] * rows),
        _tensor("age", [rows], "INT64", [30] * rows),
        _tensor("plan", [rows], "BYTES", ["free"] * rows),
        _tensor("spend", [rows], "FP64", [1.5] * rows),
        _tensor("active", [rows], "BOOL", [True] * rows),
    ]


@pytest.mark.parametrize(
    "data", [[1, 2.5, 3, 4, 5, 6], [[1, 2.5, 3], [4, 5, 6]]], ids=["flat", "nested"]
)
@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
def test_one_tensor_holds_all_columns_in_their_order(data: Any, datatype: str) -> None:
    query = v2.decode(NUMBERS, _message({"inputs": [_tensor("rows", [2, 3], datatype, data)]}))
    assert query.rows == [(1.0, 2.5, 3.0), (4.0, 5.0, 6.0)]
    assert query.matrix is not None
    assert query.matrix.tolist() == [[1, 2.5, 3], [4, 5, 6]]


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_one_tensor_a_column_whatever_their_order(mixed: Reader, shape: list[int]) -> None:
    tensors = [{**tensor, "shape": shape} for tensor in _columns(2)]
    query = v2.decode(mixed, _message({"inputs": tensors[::-1], "id": "7"}))
    assert query.rows == [(TIME, 30, "free", 1.5, True)] * 2


@pytest.mark.parametrize(
    ("datatype", "value", "kind"),
    [
        ("UINT8", 255, "integer"), ("UINT16", 65_535, "integer"), ("UINT32", 2**32 - 1, "integer"),
        ("UINT64", 2**63 - 1, "integer"), ("INT8", -128, "integer"), ("INT16", -32_768, "integer"),
        ("INT32", -(2**31), "integer"), ("INT64", -(2**63), "integer"), ("FP16", 0.5, "number"),
        ("FP32", 0.25, "number"), ("FP64", 1e300, "number"), ("FP64", 3.0, "integer"),
        ("INT8", 1, "boolean"), ("BOOL", True, "boolean"), ("BYTES", "é", "category"),
        ("BYTES", TIME, "datetime"),
    ],
)  # fmt: skip
def test_every_datatype_is_read_as_json_and_as_bytes(datatype: str, value: Any, kind: Any) -> None:
    schema = InputSchema(columns=(Column(name="x", kind=kind),), target="y", task="regression")
    reader = Reader(schema)
    (row,) = v2.decode(reader, _message({"inputs": [_tensor("x", [1], datatype, [value])]})).rows
    if datatype == "BYTES":
        raw = len(value.encode()).to_bytes(4, "little") + value.encode()
    else:
        names = {"BOOL": "u1", "FP16": "f2", "FP32": "f4", "FP64": "f8"}
        raw = np.array([value], names.get(datatype) or np.dtype(datatype.lower())).tobytes()
    tensor = _tensor("x", [1], datatype, parameters={"binary_data_size": len(raw)})
    (other,) = v2.decode(reader, _message({"inputs": [tensor]}, raw)).rows
    assert repr(row) == repr(other)
    assert row == (bool(value) if kind == "boolean" else value,)


def test_nan_in_bytes_is_a_missing_value_where_there_may_be_one(
    mixed: Reader, single: Reader
) -> None:
    raw = np.array([np.nan, 1.0]).tobytes()
    tensor = _tensor("x", [2], "FP64", parameters={"binary_data_size": len(raw)})
    assert v2.decode(single, _message({"inputs": [tensor]}, raw)).rows == [(None,), (1.0,)]
    tensor = _tensor("rows", [2, 3], "FP64", parameters={"binary_data_size": 48})
    raw = np.array([1, 2, 3, 4, np.nan, 6.0]).tobytes()
    with pytest.raises(InvalidInputError, match="row 1, column 'b'"):
        v2.decode(NUMBERS, _message({"inputs": [tensor]}, raw))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ([_tensor("r", [2, 3], "FP64", [1, 2])], "2 data, but its shape"),
        ([_tensor("r", [1, 4], "FP64", [1, 2, 3, 4])], r"must be \[rows, 3\]"),
        ([_tensor("r", [3], "FP64", [1, 2, 3])], r"must be \[rows, 3\]"),
        ([_tensor("r", [], "FP64", [])], r"must be \[rows, 3\]"),
        ([_tensor("r", [0, 3], "FP64", [])], "has no rows"),
        ([_tensor("r", [-1, 3], "FP64", [])], "shape"),
        ([_tensor("r", [2**40, 3], "FP64", [])], "shape"),
        ([_tensor("r", [1, 3], "BF16", [1, 2, 3])], "BF16"),
        ([_tensor("r", [1, 3], "FP64", [[1, 2], 3])], "data"),
        ([_tensor("r", [2, 3], "FP64", [[1, 2, 3], [4, 5]])], "data"),
        ([_tensor("r", [1, 3], "FP64", ["a", 2, 3])], "'a'"),
        ([_tensor("r", [1, 3], "FP64", [1, None, 3])], "'b'"),
        ([_tensor("r", [1, 3], "UINT8", [1, 256, 3])], "UINT8"),
        ([_tensor("r", [1, 3], "FP64")], "neither data nor binary_data_size"),
        ([_tensor("a", [1], "FP64", [1])], "'b': missing"),
        ([_tensor("a", [1], "FP64", [1]), _tensor("a", [1], "FP64", [1])], "is there twice"),
        ([_tensor("d", [1], "FP64", [1]), _tensor("e", [1], "FP64", [1])], "name of a column"),
        ([], "inputs"),
    ],
    ids=str,
)  # fmt: skip
def test_tensors_that_do_not_fit_are_refused_by_name(tensors: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        v2.decode(NUMBERS, _message({"inputs": tensors}))


def test_more_rows_than_may_come_are_refused_before_anything_is_made() -> None:
    with pytest.raises(RefusedError, match="max_rows"):
        v2.decode(
            NUMBERS, _message({"inputs": [_tensor("r", [2**30, 3], "FP64", [])]}, max_rows=10)
        )


@pytest.mark.parametrize(
    ("length", "words"), [("x", "is not a number"), ("999", "the body has"), ("-1", "number")]
)
def test_a_header_length_that_lies_is_refused(length: str, words: str) -> None:
    headers = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": length}
    with pytest.raises(RefusedError, match=words):
        v2.decode(NUMBERS, Message(b"{}", "", headers))


@settings(max_examples=100)
@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3,
                         max_size=3), min_size=1, max_size=5))  # fmt: skip
def test_bytes_and_json_say_the_same(rows: list[list[float]]) -> None:
    shape = [len(rows), 3]
    text = v2.decode(NUMBERS, _message({"inputs": [_tensor("r", shape, "FP64", rows)]}))
    raw = np.array(rows).tobytes()
    tensor = _tensor("r", shape, "FP64", parameters={"binary_data_size": len(raw)})
    other = v2.decode(NUMBERS, _message({"inputs": [tensor]}, raw))
    assert text.rows == other.rows == [tuple(row) for row in rows]


@settings(max_examples=300)
@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(-5, 300)))
def test_no_bytes_are_more_than_the_clients_mistake(body: bytes, length: int | None) -> None:
    headers = {} if length is None else {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(length)}
    with pytest.raises((RefusedError, InvalidInputError)):
        v2.decode(NUMBERS, Message(body, "", headers))


def test_the_outputs_that_are_asked_for_are_sent(mixed: Reader, answers: Answers) -> None:
    wanted = [{"name": "value"}, {"name": "prediction_id"}]
    query = v2.decode(mixed, _message({"inputs": _columns(), "outputs": wanted, "id": "7"}))
    document = json.loads(v2.reply(answers, query).body)
    assert (document["id"], document["model_name"], document["model_version"]) == (
        "7", answers.model, str(answers.version),
    )  # fmt: skip
    assert [output["name"] for output in document["outputs"]] == ["value", "prediction_id"]
    assert document["outputs"][1]["data"] == answers.ids
    with pytest.raises(InvalidInputError, match="no output 'proba'; known: value, probabilities"):
        v2.decode(mixed, _message({"inputs": _columns(), "outputs": [{"name": "proba"}]}))


def test_a_model_describes_its_tensors(mixed: Reader) -> None:
    found = v2_metadata.model("churn", [3], mixed.schema)
    assert [(tensor.name, tensor.datatype) for tensor in found.inputs] == [
        ("since", "BYTES"), ("age", "INT64"), ("plan", "BYTES"), ("spend", "FP64"),
        ("active", "BOOL"),
    ]  # fmt: skip
    assert [tensor.name for tensor in found.outputs] == ["value", "probabilities", "prediction_id"]
    assert found.versions == ["3"]
