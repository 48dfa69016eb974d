"""NVIDIA's own client against a real server, with tensors as bytes (its default) and as JSON."""

from typing import Any

import numpy as np
import pytest

triton = pytest.importorskip("tritonclient.http")

COLUMNS = (
    ("age", "INT64", np.array([30, 70])),
    ("plan", "BYTES", np.array(["free", "pro"], dtype=object)),
    ("spend", "FP64", np.array([12.5, np.nan])),
    ("active", "BOOL", np.array([False, True])),
)
ROWS = [
    {"age": 30, "plan": "free", "spend": 12.5, "active": False},
    {"age": 70, "plan": "pro", "spend": None, "active": True},
]


@pytest.fixture
def client(server: Any) -> Any:
    """The client; it must be closed by the thread that made it."""
    made = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield made
    made.close()


def _inputs(*, binary: bool) -> list[Any]:
    found = []
    for name, datatype, values in COLUMNS:
        tensor = triton.InferInput(name, [2], datatype)
        kept = values if binary else np.nan_to_num(values) if datatype == "FP64" else values
        tensor.set_data_from_numpy(kept, binary_data=binary)
        found.append(tensor)
    return found


def test_it_learns_that_the_server_lives_and_what_the_model_takes(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn")
    assert client.is_model_ready("churn", "1")
    assert not client.is_model_ready("churn", "9")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["name"] == "mlkit"
    metadata = client.get_model_metadata("churn")
    assert [tensor["name"] for tensor in metadata["inputs"]] == [name for name, _, _ in COLUMNS]


@pytest.mark.parametrize("answer_binary", [True, False])
def test_it_gets_the_numbers_that_the_native_route_gives(
    client: Any, server: Any, answer_binary: bool
) -> None:
    outputs = [
        triton.InferRequestedOutput(name, binary_data=answer_binary)
        for name in ("value", "probabilities", "prediction_id")
    ]
    found = client.infer("churn", _inputs(binary=True), outputs=outputs, request_id="mine")
    native = server.predict(*ROWS).body["predictions"]
    expected = [list(row["probabilities"].values()) for row in native]
    assert found.as_numpy("probabilities").tolist() == expected
    values = [v.decode() if isinstance(v, bytes) else v for v in found.as_numpy("value")]
    assert values == [row["value"] for row in native]
    assert found.get_response()["id"] == "mine"
    assert len(set(found.as_numpy("prediction_id").tolist())) == 2


def test_tensors_as_json_and_the_default_outputs(client: Any) -> None:
    found = client.infer("churn", _inputs(binary=False), model_version="1")
    assert found.as_numpy("probabilities").shape == (2, 2)


def test_what_is_wrong_reaches_it_as_its_own_error(client: Any) -> None:
    tensor = triton.InferInput("age", [1], "INT64")
    tensor.set_data_from_numpy(np.array([3]))
    with pytest.raises(triton.InferenceServerException, match="missing"):
        client.infer("churn", [tensor])
    with pytest.raises(triton.InferenceServerException, match="no model named 'nobody'"):
        client.infer("nobody", [tensor])
