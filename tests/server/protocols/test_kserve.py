"""KServe's V1 protocol as its clients and Vertex AI speak it."""

import json
from typing import Any

import pytest

from mlkit.errors import InvalidInputError
from mlkit.server.problems import Fault
from mlkit.server.protocols import kserve
from mlkit.server.protocols.instances import Params
from mlkit.server.query import Query

LIST = ["2026-01-01T00:00:00Z", 30, "free", 12.5, False]
OBJECT = {"since": LIST[0], "age": 30, "plan": "free", "spend": 12.5, "active": False}


@pytest.mark.parametrize(
    "row", [LIST, OBJECT, {**OBJECT, "more": 1}], ids=["list", "object", "more"]
)
@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}], ids=str)
def test_rows_are_objects_or_lists(mixed: Any, message: Any, row: Any, parameters: Any) -> None:
    query = kserve.decode(mixed, message({"instances": [row], **parameters}))
    assert query.rows == [("2026-01-01T00:00:00.000000Z", 30, "free", 12.5, False)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "missing required field `instances`"),
        ({"instances": OBJECT}, "expected `array`, got `object`"),
        ({"instances": [OBJECT], "signature_name": "x"}, "unknown field `signature_name`"),
        ({"instances": [OBJECT], "parameters": {"top_k": 3}}, "unknown field `top_k`"),
        ({"instances": [3]}, "single values, but a row has 5 columns"),
        ({"instances": [{**OBJECT, "age": "old"}]}, "row 0, column 'age'"),
    ],
)
def test_a_wrong_body_is_refused_with_the_reason(
    mixed: Any, message: Any, body: Any, words: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        kserve.decode(mixed, message(body))
    assert words in str(caught.value)


def test_the_answer_is_a_prediction_for_each_row(answers: Any) -> None:
    assert kserve.reply(answers, Query([], options=Params())).body == (
        b'{"predictions":["no","yes"]}'
    )


def test_errors_and_status_have_their_own_documents() -> None:
    refused = kserve.refuse(Fault(404, "no model", {"error": "x"}))
    assert refused.status == "404 Not Found"
    assert json.loads(refused.body) == {"error": "no model"}
    assert kserve.status("churn", ready=True).body == b'{"name":"churn","ready":true}'
    assert kserve.status("churn", ready=False).status == "503 Service Unavailable"


ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}


def test_a_vertex_client_gets_what_the_native_route_answers(server: Any) -> None:
    native = server.predict(ROW).body["predictions"]
    body = {"instances": [ROW], "parameters": {"probabilities": True}}
    reply = server.ask("POST", "/v1/models/churn:predict", body)
    assert (reply.status, reply.body) == (200, {"predictions": [native[0]["probabilities"]]})
    assert server.ask("GET", "/v1/models/churn").body == {"name": "churn", "ready": True}
    unknown = server.ask("POST", "/v1/models/other:predict", body)
    assert (unknown.status, list(unknown.body)) == (404, ["error"])
