"""NVIDIA's own client against a real server."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

DATATYPES: dict[str, tuple[str, Any]] = {
    "age": ("INT64", np.int64),
    "plan": ("BYTES", np.object_),
    "spend": ("FP64", np.float64),
    "active": ("BOOL", np.bool_),
}
ROWS: list[dict[str, Any]] = [
    {"age": 30, "plan": "free", "spend": 12.5, "active": False},
    {"age": 71, "plan": "pro", "spend": 3.25, "active": True},
]


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    made = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield made
    made.close()


def inputs(*, binary: bool) -> list[Any]:
    made = []
    for name, (datatype, dtype) in DATATYPES.items():
        data = np.array([[row[name]] for row in ROWS], dtype=dtype)
        made.append(triton.InferInput(name, list(data.shape), datatype))
        made[-1].set_data_from_numpy(data, binary_data=binary)
    return made


def test_the_client_finds_server_and_model(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn")
    assert client.is_model_ready("churn", "1")
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("churn", "9")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("churn")
    assert (metadata["name"], metadata["versions"]) == ("churn", ["1"])
    found = {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]}
    assert found == {name: datatype for name, (datatype, _) in DATATYPES.items()}


@pytest.mark.parametrize("binary_in", [True, False], ids=["bytes in", "json in"])
@pytest.mark.parametrize("binary_out", [None, True, False], ids=["all", "bytes out", "json out"])
@pytest.mark.parametrize("version", ["", "1"], ids=["champion", "by version"])
def test_the_client_gets_what_the_native_route_answers(
    server: Any,
    client: Any,
    binary_in: bool,
    binary_out: bool | None,
    version: str,
) -> None:
    native = server.predict(*ROWS).body["predictions"]
    outputs = None
    if binary_out is not None:
        names = ("value", "probabilities", "prediction_id")
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in names]
    result = client.infer(
        "churn", inputs(binary=binary_in), version, outputs=outputs, request_id="mine"
    )
    response = result.get_response()
    assert (response["model_name"], response["model_version"]) == ("churn", "1")
    assert response["id"] == "mine"
    values = [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("value").tolist()]
    assert values == [row["value"] for row in native]
    expected = [list(row["probabilities"].values()) for row in native]
    assert result.as_numpy("probabilities").tolist() == expected
    assert len(set(result.as_numpy("prediction_id").tolist())) == 2


def test_the_client_shows_the_reason_of_an_error(client: Any) -> None:
    wrong = triton.InferInput("age", [2], "FP64")
    wrong.set_data_from_numpy(np.array([30, 30.5]))
    with pytest.raises(InferenceServerException, match=r"row 1, column 'age': 30\.5 is not"):
        client.infer("churn", [wrong, *inputs(binary=True)[1:]])
    with pytest.raises(InferenceServerException, match="no model named 'other'"):
        client.infer("other", inputs(binary=True))
    with pytest.raises(InferenceServerException, match=r"404.*9"):
        client.infer("churn", inputs(binary=True), "9")
    with pytest.raises(InferenceServerException, match="no output 'predict'"):
        client.infer("churn", inputs(binary=True), outputs=[triton.InferRequestedOutput("predict")])


def test_a_request_id_that_is_sent_twice_is_answered_once(client: Any) -> None:
    first, second = (
        client.infer("churn", inputs(binary=True), parameters={"request_id": "once"})
        for _ in range(2)
    )
    ids = first.as_numpy("prediction_id").tolist()
    assert second.as_numpy("prediction_id").tolist() == ids
    third = client.infer("churn", inputs(binary=True), request_id="mine")
    assert third.as_numpy("prediction_id").tolist() != ids
