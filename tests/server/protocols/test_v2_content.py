"""What a request says beside its values is done, or refused: never ignored in silence."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from mlkit.errors import InvalidInputError
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.server.app import SERVICE, create_app
from mlkit.server.protocols import v2, v2_metadata, v2_outputs
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

TEXTS = Reader(
    InputSchema(
        columns=(Column(name="c", kind="category", nullable=True),),
        target="y",
        task="classification",
        classes=("no", "yes"),
    )
)
NUMBERS = Reader(
    InputSchema(columns=(Column(name="c", kind="number"),), target="y", task="regression")
)


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _message(
    data: list[Any],
    *,
    datatype: str = "BYTES",
    own: Mapping[str, Any] | None = None,
    probabilities: bool = True,
    path: str = "",
    **fields: Any,
) -> Message:
    tensor = {"name": "c", "shape": [len(data)], "datatype": datatype, "data": data}
    body = {"inputs": [tensor | ({"parameters": own} if own else {})], **fields}
    environ = {"PATH_INFO": path}
    raw = json.dumps(body).encode()
    return Message(raw, "application/json", environ, probabilities=probabilities)


def test_base64_is_decoded() -> None:
    data = [_coded("größer"), None, _coded("")]
    query = v2.decode(TEXTS, _message(data, own={"content_type": "base64"}))
    assert query.rows == [("größer",), (None,), ("",)]


def test_base64_is_decoded_in_binary_data_as_well() -> None:
    text = _coded("pro").encode()
    part = len(text).to_bytes(4, "little") + text
    own = {"binary_data_size": len(part), "content_type": "base64"}
    tensor = {"name": "c", "shape": [1], "datatype": "BYTES", "parameters": own}
    header = json.dumps({"inputs": [tensor]}).encode()
    sent = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(header))}
    assert v2.decode(TEXTS, Message(header + part, v2.BINARY, sent)).rows == [("pro",)]


@pytest.mark.parametrize("kind", ["str", "np", "pd", "datetime", None])
def test_what_the_datatype_says_already_changes_nothing(kind: str | None) -> None:
    message = _message(["cHJv"], own={"content_type": kind}, parameters={"content_type": kind})
    assert v2.decode(TEXTS, message).rows == [("cHJv",)]


@pytest.mark.parametrize("text", ["no base64!", "/w==", "cHJ", "größer"])
def test_what_is_no_base64_is_refused_with_row_and_column(text: str) -> None:
    message = _message([_coded("a"), text], own={"content_type": "base64"})
    with pytest.raises(InvalidInputError, match="row 1, column 'c': no base64 of a UTF-8 text"):
        v2.decode(TEXTS, message)


@pytest.mark.parametrize(
    ("reader", "message", "words"),
    [
        (TEXTS, _message(["a"], own={"content_type": "hg_json"}), "'c': the content_type hg_json"),
        (TEXTS, _message(["a"], own={"content_type": 5}), "the content_type 5 is none of base64"),
        (TEXTS, _message(["a"], parameters={"content_type": "base64"}), "the request: the content"),
        (
            NUMBERS,
            _message([1.0], datatype="FP64", own={"content_type": "base64"}),
            "base64 is for BYTES, not for FP64",
        ),
        (
            TEXTS,
            _message(["a"], outputs=[{"name": "value", "parameters": {"content_type": "base64"}}]),
            "output 'value': the content_type base64",
        ),
        (
            TEXTS,
            _message(["a"], outputs=[{"name": "value"}, {"name": "value"}]),
            "the output 'value' is asked for twice",
        ),
        (
            TEXTS,
            _message(["a"], model_name="other", path="/v2/models/mine/infer"),
            "for the model 'other', the path for 'mine'",
        ),
        (
            TEXTS,
            _message(["a"], outputs=[{"name": "probabilities"}], probabilities=False),
            "no output 'probabilities'; known: value, prediction_id",
        ),
    ],
)
def test_what_is_not_done_here_is_refused(reader: Reader, message: Message, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        v2.decode(reader, message)


def test_a_model_without_probabilities_answers_and_describes_none() -> None:
    query = v2.decode(TEXTS, _message(["a"], probabilities=False))
    answers = Answers("r", "m", 1, "champion", ["1"], ["no"], None, ("no", "yes"), ("no", "yes"))
    outputs = json.loads(v2.reply(answers, query).body)["outputs"]
    assert [output["name"] for output in outputs] == ["value", "prediction_id"]
    names = v2_outputs.names(TEXTS.schema, probabilities=False)
    described = v2_metadata.model("m", [1], TEXTS.schema, names)
    assert [output.name for output in described.outputs] == ["value", "prediction_id"]


def test_a_request_id_that_an_earlier_version_answered_has_what_that_one_gave() -> None:
    query: Query = v2.decode(TEXTS, _message(["a"]))
    answers = Answers("r", "m", 1, "champion", ["1"], ["no"], None, ("no", "yes"), ("no", "yes"))
    outputs = json.loads(v2.reply(answers, query).body)["outputs"]
    assert [output["name"] for output in outputs] == ["value", "prediction_id"]


def test_a_support_vector_classifier_is_served_and_described_without_probabilities(
    trained: Project,
) -> None:
    (trained.root / "margin.py").write_text(
        "from sklearn.svm import LinearSVC\n\n\ndef build():\n    return LinearSVC()\n"
    )
    train.train(trained, "margin", "churn", estimator="margin:build")
    deploy.promote(trained, "margin", 1, force=True)
    app = create_app(trained)
    client = app.test_client()
    sent = {"headers": {"Host": "localhost"}}
    described = client.get("/v2/models/margin", **sent).get_json()
    assert [output["name"] for output in described["outputs"]] == ["value", "prediction_id"]
    document = client.get("/openapi.json", **sent).get_json()
    path = document["paths"]["/v2/models/margin/infer"]["post"]["requestBody"]["content"]
    body = path["application/json"]["examples"]["columns"]["value"]
    reply = client.post("/v2/models/margin/infer", json=body, **sent)
    assert [output["name"] for output in reply.get_json()["outputs"]] == ["value", "prediction_id"]
    body["outputs"] = [{"name": "probabilities"}]
    assert client.post("/v2/models/margin/infer", json=body, **sent).status_code == 422
    app.extensions[SERVICE].stop()
