"""The Open Inference Protocol: tensors in every form that clients send them, and hostile ones."""

import contextlib
import json
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.server.problems import Fault, RefusedError
from mlkit.server.protocols import v2, v2_metadata, v2_outputs
from mlkit.server.query import Message, Query
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

INTEGERS = {
    "UINT8": (0, 2**8 - 1),
    "UINT16": (0, 2**16 - 1),
    "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1),
    "INT8": (-(2**7), 2**7 - 1),
    "INT16": (-(2**15), 2**15 - 1),
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
}
DTYPES = {
    **{name: name.lower() for name in INTEGERS},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "since": ("BYTES", ["2026-01-01T00:00:00Z", "2026-01-02"]),
    "age": ("INT64", [30, 71]),
    "plan": ("BYTES", ["free", "größer"]),
    "spend": ("FP64", [12.5, -1e300]),
    "active": ("BOOL", [False, True]),
}
ROWS = [
    ("2026-01-01T00:00:00.000000Z", 30, "free", 12.5, False),
    ("2026-01-02T00:00:00.000000Z", 71, "größer", -1e300, True),
]
TENSOR = b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":%s}]}'
NUMBERS = Reader(
    InputSchema(
        columns=tuple(Column(name=name, kind="number", nullable=True) for name in "abc"),
        target="y",
        task="classification",
        classes=(0, 1),
    )
)


def tensor(name: str, datatype: str, data: Any, shape: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [len(data)] if shape is None else shape,
        "datatype": datatype,
        "data": data,
        **more,
    }


def rows_of(query: Query) -> list[tuple[Any, ...]]:
    """Return the rows of a query, however it holds them."""
    rows = query.rows
    return [tuple(row) for row in rows.tolist()] if isinstance(rows, np.ndarray) else rows


def columns(**changed: tuple[str, list[Any]]) -> list[dict[str, Any]]:
    return [tensor(name, *given_) for name, given_ in (COLUMNS | changed).items()]


def as_bytes(*parts: tuple[str, str, list[int], bytes], **fields: Any) -> Message:
    """Return a message whose tensors are (name, datatype, shape, bytes)."""
    inputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            "parameters": {"binary_data_size": len(part)},
        }
        for name, datatype, shape, part in parts
    ]
    header = msgspec.json.encode({"inputs": inputs, **fields})
    environ = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(header))}
    return Message(header + b"".join(part for *_, part in parts), "", environ, max_rows=3)


def prefixed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def one(datatype: str, values: Any) -> Reader:
    """Return a reader for a single column that takes ``values``."""
    kind: Any = {"BYTES": "category", "BOOL": "boolean"}.get(datatype, "number")
    column = Column(name="x", kind=kind, nullable=None in values)
    return Reader(InputSchema(columns=(column,), target="y", task="regression"))


def test_a_tensor_for_each_column_gives_the_rows(mixed: Any, message: Any) -> None:
    query = v2.decode(mixed, message({"inputs": columns()}))
    assert (query.rows, query.request_id) == (ROWS, None)


def test_columns_may_be_flat_or_nested_and_come_in_any_order(mixed: Any, message: Any) -> None:
    inputs = [
        tensor(name, datatype, [[value] for value in data], [2, 1])
        for name, (datatype, data) in reversed(COLUMNS.items())
    ]
    assert v2.decode(mixed, message({"inputs": inputs})).rows == ROWS
    inputs = [tensor(name, datatype, data, [2, 1]) for name, (datatype, data) in COLUMNS.items()]
    assert v2.decode(mixed, message({"inputs": inputs})).rows == ROWS


def test_tensors_that_are_no_columns_are_ignored(mixed: Any, message: Any) -> None:
    inputs = [*columns(), tensor("index", "INT64", [1, 2, 3])]
    assert v2.decode(mixed, message({"inputs": inputs})).rows == ROWS


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4, 5, 6], [[1, 2.5, 3], [4, 5, 6]]], ids=str)
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_one_tensor_holds_all_columns(message: Any, data: Any, datatype: str) -> None:
    inputs = [tensor("input-0", datatype, data, [2, 3])]
    query = v2.decode(NUMBERS, message({"inputs": inputs}))
    assert isinstance(query.rows, np.ndarray)
    assert rows_of(query) == [(1.0, 2.5, 3.0), (4.0, 5.0, 6.0)]
    assert np.array_equal(query.rows, NUMBERS.matrix(rows_of(query)))


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 3], [[1, 2, 3], [4, 5]]),
        ([2, 3], [[1, 2, 3], 4, 5, 6]),
        ([2, 3], [1, 2, 3, [4], [5], [6]]),
        ([1, 3], [1, [2], 3]),
    ],
    ids=str,
)
def test_numbers_of_another_shape_are_refused(message: Any, shape: Any, data: Any) -> None:
    with pytest.raises(InvalidInputError, match="tensor 'x'"):
        v2.decode(NUMBERS, message({"inputs": [tensor("x", "FP64", data, shape)]}))


def test_lists_where_a_single_column_has_numbers_are_refused(message: Any) -> None:
    with pytest.raises(InvalidInputError, match="tensor 'x'"):
        v2.decode(one("FP64", ()), message({"inputs": [tensor("x", "FP64", [[1], [2]], [2])]}))


def test_one_tensor_of_whole_numbers_holds_all_columns(message: Any) -> None:
    query = v2.decode(NUMBERS, message({"inputs": [tensor("x", "INT64", [1, 2, 3], [1, 3])]}))
    assert query.rows == [(1.0, 2.0, 3.0)]


def test_null_is_a_missing_value_where_the_column_may_miss(mixed: Any, message: Any) -> None:
    inputs = columns(spend=("FP64", [None, 1]), plan=("BYTES", ["free", None]))
    rows = v2.decode(mixed, message({"inputs": inputs})).rows
    assert [row[2:4] for row in rows] == [("free", None), (None, 1.0)]
    query = v2.decode(NUMBERS, message({"inputs": [tensor("x", "FP64", [[1, None, 3]], [1, 3])]}))
    assert query.rows == [(1.0, None, 3.0)]
    with pytest.raises(InvalidInputError, match="row 1, column 'age': null"):
        v2.decode(mixed, message({"inputs": columns(age=("INT64", [1, None]))}))


@pytest.mark.parametrize(("datatype", "limits"), INTEGERS.items(), ids=INTEGERS)
def test_integers_are_taken_up_to_the_limits_of_their_datatype(
    message: Any, datatype: str, limits: tuple[int, int]
) -> None:
    reader = one(datatype, limits)
    rows = [(float(limit),) for limit in limits]
    found = v2.decode(reader, message({"inputs": [tensor("x", datatype, limits)]}))
    assert rows_of(found) == rows
    part = np.array(limits, datatype.lower()).tobytes()
    assert v2.decode(reader, as_bytes(("x", datatype, [2, 1], part))).rows == rows
    for wrong in (limits[0] - 1, limits[1] + 1, 10**400):
        with pytest.raises(InvalidInputError, match="tensor 'x', row 1, column 'x': expected"):
            v2.decode(reader, message({"inputs": [tensor("x", datatype, [1, wrong])]}))


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_floats_are_taken_up_to_the_limits_of_their_datatype(message: Any, datatype: str) -> None:
    reader = one(datatype, ())
    largest = float(np.finfo(DTYPES[datatype]).max)
    body = {"inputs": [tensor("x", datatype, [largest, -largest])]}
    assert rows_of(v2.decode(reader, message(body))) == [(largest,), (-largest,)]
    beyond = {"FP16": b"65505", "FP32": b"1e39", "FP64": b"1e309"}[datatype]
    text = (TENSOR % (b"[%s]" % beyond)).replace(b"[1,3]", b"[1]")
    with pytest.raises(InvalidInputError):
        v2.decode(reader, message(text.replace(b"FP64", datatype.encode())))


@pytest.mark.parametrize("datatype", DTYPES)
def test_bytes_give_the_same_as_json(message: Any, datatype: str) -> None:
    data = np.array([[1, 2, 3], [4, 5, 6]], DTYPES[datatype])
    sent = as_bytes(("x", datatype, [2, 3], data.tobytes()))
    found = v2.decode(NUMBERS, sent)
    wanted = v2.decode(NUMBERS, message({"inputs": [tensor("x", datatype, data.tolist(), [2, 3])]}))
    assert rows_of(found) == rows_of(wanted) == [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]


def test_bytes_come_for_each_column_too(mixed: Any) -> None:
    sent = as_bytes(
        ("since", "BYTES", [2], prefixed(b"2026-01-01T00:00:00Z", b"2026-01-02")),
        ("age", "INT32", [2, 1], np.array([30, 71], "<i4").tobytes()),
        ("plan", "BYTES", [2], prefixed(b"free", "größer".encode())),
        ("spend", "FP64", [2], np.array([12.5, -1e300]).tobytes()),
        ("active", "BOOL", [2], b"\0\1"),
    )
    assert v2.decode(mixed, sent).rows == ROWS


def test_nan_in_bytes_is_missing_and_infinity_is_refused() -> None:
    part = np.array([1, np.nan, 3], "<f4").tobytes()
    query = v2.decode(NUMBERS, as_bytes(("x", "FP32", [1, 3], part)))
    assert query.rows == [(1.0, None, 3.0)]
    with pytest.raises(InvalidInputError, match="row 0, column 'x': null"):
        v2.decode(one("FP32", ()), as_bytes(("x", "FP32", [1], part[4:8])))
    part = np.array([1, np.nan, np.inf], "<f8").tobytes()
    with pytest.raises(InvalidInputError, match="row 0, column 'c': inf is not a finite number"):
        v2.decode(NUMBERS, as_bytes(("x", "FP64", [1, 3], part)))


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("age", ("FP64", [3.0]), 3),
        ("age", ("UINT8", [3]), 3),
        ("spend", ("INT8", [3]), 3.0),
        ("active", ("INT8", [1]), True),
        ("active", ("FP32", [0]), False),
    ],
    ids=str,
)
def test_numbers_fit_columns_of_another_kind(
    mixed: Any, message: Any, name: str, given_: Any, value: Any
) -> None:
    single = {column: (kind, data[:1]) for column, (kind, data) in COLUMNS.items()}
    inputs = columns(**(single | {name: given_}))
    [row] = v2.decode(mixed, message({"inputs": inputs})).rows
    found = row[mixed.names.index(name)]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "expected `array` of length >= 1"),
        ([tensor("x", "FP64", [1])], r"tensor 'x': its shape [1] must be [rows, 3]"),
        ([tensor("x", "FP64", [1] * 4, [2, 2])], r"its shape [2, 2] must be [rows, 3]"),
        ([tensor("x", "FP64", [1] * 3, [1, 3, 1])], r"its shape [1, 3, 1] must be [rows, 3]"),
        ([tensor("x", "FP64", 1, [])], "expected `array"),
        ([tensor("x", "FP64", [], [0, 3])], "has no rows; send at least one"),
        ([tensor("x", "FP64", [1, 2], [1, 3])], "2 data, but its shape [1, 3] needs 3"),
        ([tensor("x", "FP64", [[1, 2], [3, 4, 5, 6]], [2, 3])], "do not have the shape [2, 3]"),
        ([tensor("x", "FP64", [[1, 2, 3], 4, 5], [1, 3])], "do not have the shape [1, 3]"),
        ([tensor("x", "FP64", [[1, 2, 3], 4], [2, 3])], "some of its data are lists and some"),
        ([tensor("x", "FP64", [[[1, 2, 3]]], [1, 3])], "got `array` - at `inputs[0].data[0][0]`"),
        ([tensor("x", "FP64", [{}], [1, 3])], "got `object`"),
        ([tensor("x", "FP64", [1, "2", 3], [1, 3])], "tensor 'x', row 0, column 'b': expected"),
        ([tensor("x", "INT8", [1, 2, 3.5], [1, 3])], "tensor 'x', row 0, column 'c': expected"),
        ([tensor("x", "FP64", [1, True, 3], [1, 3])], "tensor 'x', row 0, column 'b': expected"),
        ([tensor("x", "BOOL", [True] * 3, [1, 3])], "column 'a': True is not a number"),
        ([tensor("x", "BYTES", ["1"] * 3, [1, 3])], "column 'a': '1' is not a number"),
        ([tensor("x", "FP64", [1], [-1, 3])], "expected `int` >= 0"),
        ([tensor("x", "FP64", [1], [2**62, 3])], "expected `int` <= 2147483647"),
        ([tensor("x", "FP64", [1], [10**400, 3])], "expected `int` <= 2147483647"),
        ([tensor("x", "BF16", [1, 2, 3], [1, 3])], "the datatype BF16 is none of BOOL, UINT8"),
        ([{"name": "x", "shape": [1, 3], "datatype": "FP64"}], "neither data nor binary_data_size"),
        ([tensor("x", "FP64", [1] * 3, [1, 3], more=1)], "unknown field `more`"),
        ([tensor("a", "FP64", [1])], "row 0, column 'b': missing"),
        ([tensor("a", "FP64", [1]), tensor("a", "FP64", [1])], "tensor 'a' is there twice"),
        ([tensor("u", "FP64", [1]), tensor("v", "FP64", [1])], "no tensor has the name"),
        (
            [tensor(name, "FP64", [1] * (2 if name == "c" else 1)) for name in "abc"],
            "the columns have different lengths",
        ),
        (
            [tensor("x", "FP64", [1] * 3, [1, 3], parameters={"binary_data_size": 24})],
            "both data and binary_data_size",
        ),
        (
            [tensor("x", "FP64", [1] * 3, [1, 3], parameters={"shared_memory_region": "r"})],
            "there is no shared memory",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_wrong_tensors_are_refused_with_the_reason(message: Any, inputs: Any, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        v2.decode(NUMBERS, message({"inputs": inputs}))
    assert words in str(caught.value)


def test_too_many_rows_are_refused_before_their_values_are_seen(message: Any) -> None:
    for rows in (4, 2**31 - 1):
        with pytest.raises(RefusedError, match="more than 3") as caught:
            v2.decode(NUMBERS, message({"inputs": [tensor("x", "FP64", [], [rows, 3])]}))
        assert caught.value.status == 413


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 422),
        (b'{"inputs":' + b"[" * 100_000, 422),
        (TENSOR % (b"[" * 100_000), 422),
        (TENSOR % b"[1,2,NaN]", 400),
        (TENSOR % b"[1,2,3]}", 400),
        (TENSOR % b"[1,2,1e999]", 422),
        (TENSOR % (b"[1,2,%s]" % (b"1" * 4301)), 422),
        ((TENSOR % b"[1,2,3]").replace(b'"x"', b'"\xff"'), 400),
        ((TENSOR % b"[1,2,3]").replace(b'"x"', b'"x","name":"x"'), 400),
        ((TENSOR % b"[1,2,3]").replace(b'"inputs"', b'"id":"1","id":"1","inputs"'), 400),
        ((TENSOR % b'["a","b:","c"],"data":["x:y"]').replace(b"FP64", b"BYTES"), 400),
        ((TENSOR % b"[1,2,3]").replace(b'"x"', b'"\\u003a","name":"x"'), 400),
    ],
    ids=lambda value: value[:90].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_broken_texts_are_refused(message: Any, text: bytes, status: int) -> None:
    with pytest.raises(RefusedError if status == 400 else InvalidInputError) as caught:
        v2.decode(NUMBERS, message(text))
    assert getattr(caught.value, "status", 422) == status


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (as_bytes(("x", "FP64", [1, 3], b"\0" * 23)), "23 bytes, but its shape [1, 3] needs 24"),
        (as_bytes(("x", "FP64", [2, 3], b"\0" * 24)), "24 bytes, but its shape [2, 3] needs 48"),
        (as_bytes(("x", "BF16", [1, 3], b"\0" * 6)), "the datatype BF16 is none of"),
        (as_bytes(("x", "BOOL", [1, 3], b"\0\1\2")), "a BOOL is the byte 0 or 1"),
        (as_bytes(("x", "BYTES", [1, 3], prefixed(b"a", b"b"))), "2 texts, but its shape"),
        (as_bytes(("x", "BYTES", [1, 3], prefixed(b"a", b"b", b"\xff"))), "a text is not UTF-8"),
        (as_bytes(("x", "BYTES", [1, 3], prefixed(b"a", b"b")[:-1])), "a text is cut off"),
        (as_bytes(("x", "BYTES", [1, 3], prefixed(b"a") + b"\1\0")), "a text is cut off"),
        (as_bytes(("x", "BYTES", [1, 3], b"\xff\xff\xff\xffx")), "a text is cut off"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_bytes_are_refused_with_the_reason(sent: Message, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        v2.decode(NUMBERS, sent)
    assert words in str(caught.value)


@pytest.mark.parametrize("size", [-1, True, "24", 2.0, 2**80, 23])
def test_sizes_that_do_not_fill_the_body_are_refused(size: Any) -> None:
    sent = as_bytes(("x", "FP64", [1, 3], b"\0" * 24))
    header = sent.body[:-24].replace(b":24}", b":%s}" % msgspec.json.encode(size))
    environ = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(header))}
    with pytest.raises(InvalidInputError, match="binary_data_size"):
        v2.decode(NUMBERS, Message(header + b"\0" * 24, "", environ))


@pytest.mark.parametrize("length", ["-1", "x", "٣", "9" * 30, "1000", "1"])
def test_a_wrong_length_of_the_header_is_refused(length: str) -> None:
    sent = as_bytes(("x", "FP64", [1, 3], b"\0" * 24))
    environ = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": length}
    with pytest.raises(RefusedError) as caught:
        v2.decode(NUMBERS, sent._replace(headers=environ))
    assert caught.value.status == 400


def asked(message: Any, **fields: Any) -> Query:
    return v2.decode(
        NUMBERS, message({"inputs": [tensor("x", "FP64", [1, 2, 3], [1, 3])], **fields})
    )


def test_the_answer_has_a_tensor_for_each_output(message: Any, answers: Any) -> None:
    reply = v2.reply(answers, asked(message, id="mine"))
    assert reply.status == "200 OK"
    assert json.loads(reply.body) == {
        "model_name": "churn",
        "model_version": "3",
        "id": "mine",
        "parameters": {"request_id": "r", "role": "champion"},
        "outputs": [
            {"name": "value", "shape": [2], "datatype": "BYTES", "data": ["no", "yes"]},
            {
                "name": "probabilities",
                "shape": [2, 2],
                "datatype": "FP64",
                "parameters": {"classes": '["no","yes"]'},
                "data": [0.75, 0.25, 0.5, 0.5],
            },
            {"name": "prediction_id", "shape": [2], "datatype": "BYTES", "data": ["1", "2"]},
        ],
    }


def test_outputs_are_chosen_by_name_and_may_be_bytes(message: Any, answers: Any) -> None:
    query = asked(message, outputs=[{"name": "value"}])
    assert [o["name"] for o in json.loads(v2.reply(answers, query).body)["outputs"]] == ["value"]
    outputs = [
        {"name": "prediction_id", "parameters": {"binary_data": True}},
        {"name": "value", "parameters": {"binary_data": False}},
        {"name": "probabilities"},
    ]
    query = asked(message, outputs=outputs, parameters={"binary_data_output": True})
    reply = v2.reply(answers, query)
    headers = dict(reply.headers)
    assert headers["Content-Type"] == "application/octet-stream"
    length = int(headers["Inference-Header-Content-Length"])
    found = json.loads(reply.body[:length])["outputs"]
    assert [o.get("parameters", {}).get("binary_data_size") for o in found] == [10, None, 32]
    assert reply.body[length : length + 10] == prefixed(b"1", b"2")
    assert np.frombuffer(reply.body[length + 10 :]).tolist() == [0.75, 0.25, 0.5, 0.5]


@pytest.mark.parametrize(
    ("classes", "values", "datatype", "data"),
    [
        ((0, 1), [1, 0], "INT64", [1, 0]),
        ((False, True), [True, False], "BOOL", [True, False]),
        ((0.5, 1.5), [1.5, 0.5], "FP64", [1.5, 0.5]),
        ((1, "b"), [1, "b"], "BYTES", ["1", "b"]),
        ((), [2.5, 3.5], "FP64", [2.5, 3.5]),
    ],
    ids=str,
)
def test_values_have_the_datatype_of_the_classes(
    message: Any, answers: Any, classes: Any, values: Any, datatype: str, data: Any
) -> None:
    query = asked(message, outputs=[{"name": "value"}])
    reply = v2.reply(answers._replace(classes=classes, values=values), query)
    [output] = json.loads(reply.body)["outputs"]
    assert (output["datatype"], output["data"]) == (datatype, data)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outputs": [{"name": "predict"}]}, "no output 'predict'; known: value, probabilities"),
        ({"outputs": [{"name": "value", "parameters": {"classification": 2}}]}, "classification"),
        ({"outputs": [{"name": "value", "parameters": {"binary_data": 1}}]}, "true or false"),
        ({"parameters": {"binary_data_output": "yes"}}, "binary_data_output is true or false"),
        ({"parameters": {"request_id": 7}}, "request_id is a text of 1 to 128"),
        ({"parameters": {"request_id": ""}}, "request_id is a text of 1 to 128"),
        ({"parameters": {"nested": {}}}, "got `object`"),
        ({"id": 7}, "expected `str | null`, got `int`"),
    ],
)
def test_wrong_wishes_are_refused_with_the_reason(message: Any, fields: Any, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        asked(message, **fields)
    assert words in str(caught.value)


def test_what_other_clients_add_is_no_error(message: Any) -> None:
    query = asked(
        message, id=None, model_name="churn", outputs=[], parameters={"content_type": "pd"}
    )
    assert list(query.options.outputs) == ["value", "probabilities", "prediction_id"]
    assert asked(message, parameters={"request_id": "again"}).request_id == "again"


def test_a_regression_has_no_probabilities(single: Any, message: Any) -> None:
    body = {"inputs": [tensor("anything", "FP64", [1.5])]}
    assert list(v2.decode(single, message(body)).options.outputs) == ["value", "prediction_id"]
    with pytest.raises(InvalidInputError, match="known: value, prediction_id"):
        v2.decode(single, message({**body, "outputs": [{"name": "probabilities"}]}))


def test_an_error_is_one_sentence() -> None:
    refused = v2.refuse(Fault(404, "no model", {"error": "x"}))
    assert (refused.status, json.loads(refused.body)) == ("404 Not Found", {"error": "no model"})


def test_metadata_describe_the_tensors(mixed: Any) -> None:
    outputs = v2_outputs.names(mixed.schema, probabilities=True)
    found = msgspec.to_builtins(v2_metadata.model("churn", [3], mixed.schema, outputs))
    assert found == {
        "name": "churn",
        "versions": ["3"],
        "platform": "mlkit_sklearn",
        "inputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, (datatype, _) in COLUMNS.items()
        ],
        "outputs": [
            {"name": "value", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert v2_metadata.server("1.0").extensions == ("binary_tensor_data",)


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=3))
def test_numbers_come_through_unchanged(rows: list[tuple[float, float, float]]) -> None:
    shape = [len(rows), 3]
    flat = [value for row in rows for value in row]
    sent = [
        Message(msgspec.json.encode({"inputs": [tensor("x", "FP64", data, shape)]}), "", {})
        for data in (rows, flat)
    ]
    sent.append(as_bytes(("x", "FP64", shape, np.array(rows).tobytes())))
    for found in sent:
        query = v2.decode(NUMBERS, found)
        assert isinstance(query.rows, np.ndarray)
        assert rows_of(query) == rows


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=3))
def test_texts_come_through_unchanged(texts: list[str]) -> None:
    reader = one("BYTES", ())
    body = msgspec.json.encode({"inputs": [tensor("x", "BYTES", texts)]})
    rows = [(text,) for text in texts]
    assert v2.decode(reader, Message(body, "", {})).rows == rows
    part = prefixed(*(text.encode() for text in texts))
    assert v2.decode(reader, as_bytes(("x", "BYTES", [len(texts)], part))).rows == rows


scalars = st.none() | st.booleans() | st.integers() | finite | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
some_tensor = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "a", "b", "c"]) | anything,
        "shape": st.lists(st.integers(0, 3), max_size=3) | anything,
        "datatype": st.sampled_from(["FP64", "INT8", "BOOL", "BYTES"]) | anything,
    },
    optional={
        "data": st.lists(scalars | st.lists(scalars, max_size=3), max_size=4) | anything,
        "parameters": st.dictionaries(st.just("binary_data_size"), scalars) | anything,
    },
)


@settings(deadline=None)
@given(inputs=st.lists(some_tensor, max_size=3), rest=st.binary(max_size=30), cut=st.booleans())
def test_nothing_but_declared_errors_comes_of_any_body(
    *, inputs: Any, rest: bytes, cut: bool
) -> None:
    header = msgspec.json.encode({"inputs": inputs})
    length = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(header))} if cut else {}
    with contextlib.suppress(RefusedError, InvalidInputError):
        v2.decode(NUMBERS, Message(header + rest if cut else header, "", length))
