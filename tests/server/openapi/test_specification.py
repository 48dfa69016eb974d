"""The document of the HTTP interface: valid, complete, true of a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from mlkit.errors import InvalidInputError
from mlkit.flows.operations import access
from mlkit.project import Project, create_project
from mlkit.server import access as server_access
from mlkit.server import request_log
from mlkit.server.app import create_app
from mlkit.server.openapi import examples, parts, specification
from mlkit.server.openapi.models import Described
from mlkit.server.problems import Fault
from mlkit.server.protocols import kserve, mlflow, native, v2_messages, v2_outputs
from mlkit.server.query import Message
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

HERE = Path(__file__).parent
EXAMPLES_PER_OPERATION = 100
CHURN = Described(
    name="churn-2.b",
    version=3,
    schema=InputSchema(
        columns=(
            Column(name="since", kind="datetime"),
            Column(name="age", kind="integer", minimum=18, maximum=80),
            Column(name="plan", kind="category", nullable=True, categories=("free", "pro")),
            Column(name="spend, in €", kind="number", nullable=True),
            Column(name="active", kind="boolean"),
        ),
        target="churned",
        task="classification",
        classes=(False, True),
    ),
    labels=("false", "true"),
    example={
        "since": "2026-01-01T00:00:00Z", "age": 30, "plan": None, "spend, in €": 1.5, "active": True
    },
)  # fmt: skip
PRICE = Described(
    name="price",
    version=1,
    schema=InputSchema(columns=(Column(name="x", kind="number"),), target="y", task="regression"),
    labels=(),
    example={"x": 1.0},
)


def _document(*models: Described, default: str | None = None) -> dict[str, Any]:
    made = specification.document(
        models, max_rows=5, max_body_bytes=1000, version="1.2.3", default=default
    )
    loaded: dict[str, Any] = json.loads(msgspec.json.encode(made))
    return loaded


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _examples(document: dict[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """Yield path, media type and body."""
    for _, path, operation in _operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            for example in content["examples"].values():
                value = example["value"]
                yield path, kind, (value if isinstance(value, str) else json.dumps(value)).encode()


@pytest.mark.parametrize("models", [(), (CHURN,), (CHURN, PRICE)], ids=len)
def test_the_document_is_valid_openapi(models: Any) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(_document(*models, default="price"))


def test_every_example_fits_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = _document(CHURN, PRICE, default="price")
    for _, _, operation in _operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        for example in (content or {"examples": {}})["examples"].values():
            schema = {**content["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(example["value"])


def test_every_example_is_read_by_its_protocol() -> None:
    decoders = {"predict": native, "models": mlflow, "v1": kserve}
    read = 0
    for model in (CHURN, PRICE):
        reader = Reader(model.schema)
        for path, kind, body in _examples(_document(model)):
            wire = decoders.get(path.split("/")[1])
            if wire is not None:
                query = wire.decode(reader, Message(body, kind, {"CONTENT_TYPE": kind}))
                assert query.rows == reader.objects([model.example]), path
                read += 1
    assert read == 2 * (2 + 5 + 2)


def test_invocations_are_described_for_the_model_that_answers_them() -> None:
    assert "/invocations" not in _document(CHURN, PRICE)["paths"]
    document = _document(CHURN, PRICE, default="price")
    content = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/price.MlflowRequest")


def test_a_row_has_every_column_with_its_type() -> None:
    row = _document(CHURN)["components"]["schemas"]["churn-2.b.Row"]
    assert row["required"] == list(CHURN.schema.names)
    types = {name: column["type"] for name, column in row["properties"].items()}
    assert types == {
        "since": "string",
        "age": "integer",
        "plan": ["string", "null"],
        "spend, in €": ["number", "null"],
        "active": "boolean",
    }
    assert row["properties"]["age"]["description"] == "Seen in training: about 18 to 80."
    assert row["properties"]["plan"]["description"] == "Known values: free, pro."


def test_names_of_operations_are_unique_and_errors_have_their_protocols_words() -> None:
    document = _document(CHURN, PRICE, default="price")
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(names)) == len(names)
    words = {
        "/predict/price": ("422", "Problem"),
        "/invocations": ("400", "Mlflow"),
        "/v1/models/price:predict": ("422", "E"),
    }
    for path, (status, word) in words.items():
        refused = document["paths"][path]["post"]["responses"][status]["$ref"]
        assert refused.startswith(f"#/components/responses/{word}")


def test_an_example_is_made_up_and_fits_the_model() -> None:
    known = Column(name="age", kind="integer", minimum=18, maximum=81)
    income = Column(name="income", kind="number", minimum=-1.0, maximum=123_456.75)
    schema = msgspec.structs.replace(
        CHURN.schema, columns=(*CHURN.schema.columns[2:], known, income)
    )
    example = examples.row(schema)
    assert list(example.values()) == ["free", 0.5, True, 49, 61700.0]
    Reader(schema).objects([example])


def test_a_narrow_range_far_from_zero_is_met_by_a_number_of_its_own() -> None:
    place = Column(name="lat", kind="number", minimum=47.123435497244046, maximum=47.143385998961)
    schema = msgspec.structs.replace(CHURN.schema, columns=(place,))
    assert examples.row(schema) == {"lat": 47.13}


def test_nobodys_row_is_in_the_document(trained: Project) -> None:
    text = create_app(trained).test_client().get("/openapi.json").get_data(as_text=True)
    document = json.loads(text)
    shown = [body for path, kind, body in _examples(document) if path == "/predict/churn"]
    assert shown
    known = pd.read_csv(trained.root / "churn.csv")
    for body in shown:
        for row in json.loads(body)["rows"]:
            same = (known["age"] == row["age"]) & (known["spend"] == row["spend"])
            assert not same.any()
    assert str(known["spend"].max()) not in text


def test_a_model_without_probabilities_promises_none() -> None:
    document = _document(msgspec.structs.replace(CHURN, probabilities=False))
    schemas = document["components"]["schemas"]
    answer = schemas["churn-2.b.Answer"]["properties"]["predictions"]["items"]
    assert "probabilities" not in answer["properties"]
    assert schemas["churn-2.b.Predictions"]["properties"]["predictions"]["items"] == {
        "enum": [False, True]
    }
    infer = document["paths"]["/v2/models/churn-2.b/infer"]["post"]
    schema = infer["requestBody"]["content"]["application/json"]["schema"]
    asked = schema["properties"]["outputs"]["items"]["properties"]["name"]
    assert asked["enum"] == ["value", "prediction_id"]


@pytest.mark.parametrize(
    ("outputs", "right"),
    [
        ([{"name": "value"}], True),
        ([{"name": "value", "parameters": {"binary_data": True}}, {"name": "probabilities"}], True),
        ([{"name": "value", "parameters": {"content_type": "np", "own": 1}}], True),
        ([{"name": "value", "parameters": None}], True),
        ([{"name": "value", "parameters": {"binary_data": 1}}], False),
        ([{"name": "value", "parameters": {"classification": 2}}], False),
        ([{"name": "value", "parameters": {"content_type": "base64"}}], False),
        ([{"name": "value"}, {"name": "value"}], False),
        ([{"name": "other"}], False),
        ([{"name": "value", "more": 1}], False),
    ],
)
def test_the_document_and_the_server_agree_on_outputs(outputs: list[Any], *, right: bool) -> None:
    infer = _document(CHURN)["paths"]["/v2/models/churn-2.b/infer"]["post"]
    schema = infer["requestBody"]["content"]["application/json"]["schema"]["properties"]["outputs"]
    assert Draft202012Validator(schema).is_valid(outputs) == right
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64"}], "outputs": outputs}
    try:
        v2_outputs.wanted(
            ("value", "probabilities", "prediction_id"),
            v2_messages.read(json.dumps(body).encode()),
        )
    except InvalidInputError:
        assert not right
    else:
        assert right


def test_every_error_that_is_documented_has_its_words_in_log_and_protocol() -> None:
    statuses = set(parts.PREDICTION_ERRORS)
    assert statuses <= set(mlflow.ERROR_CODES)
    assert "refused" not in {request_log.why(Fault(status, "")) for status in statuses - {401, 429}}
    infer = _document(CHURN)["paths"]["/v2/models/churn-2.b/infer"]["post"]["responses"]
    assert "408" in infer
    assert set(infer["200"]["content"]) == {"application/json", "application/octet-stream"}


def test_what_needs_no_token_is_the_public_list_and_nothing_else() -> None:
    found = {
        (method, path)
        for method, path, operation in _operations(_document(CHURN))
        if operation.get("security") == []
    }
    assert found == set(server_access.PUBLIC)


def test_every_route_of_the_application_is_described(
    project: Project, register: Callable[..., Any]
) -> None:
    register(project, "churn")
    app = create_app(project)
    served = {
        (method, rule.rule.replace("<model>", "churn").replace("<version>", "1"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    document = json.loads(app.test_client().get("/openapi.json").data)
    assert {(method, path) for method, path, _ in _operations(document)} == served


@pytest.fixture
def served(
    tmp_path: Path, register: Callable[..., Any], start: Callable[..., Any]
) -> Iterator[Any]:
    """A server with a classifier and a regression, and a token that opens everything."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "mlkit.toml").write_text(
        '[server]\nmax_rows = 5\ndefault_model = "churn"\nmax_failures = 0\n'
    )
    project = create_project(root, environment={})
    for name in ("churn", "spend"):
        register(project, name)
    token = access.create(project, "tester", scope="admin").token
    project.close()
    server = start(root, "--workers", "1")
    yield server, token
    _, said = server.stop()
    assert "Traceback" not in said


def test_every_example_works(served: Any) -> None:
    server, token = served
    document = server.ask("GET", "/openapi.json", token=token).body
    for path, kind, body in _examples(document):
        reply = server.ask("POST", path, body, kind=kind, token=token)
        assert reply.status == 200, (path, body, reply.body)


def test_schemathesis_finds_nothing(served: Any, tmp_path: Path) -> None:
    server, token = served
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("schemathesis is not installed")
    done = subprocess.run(
        [
            program, "--config-file", HERE / "schemathesis.toml", "run",
            f"http://127.0.0.1:{server.port}/openapi.json", "--checks", "all",
            "--header", f"Authorization: Bearer {token}",
            "--max-examples", str(EXAMPLES_PER_OPERATION), "--seed", "1",
        ],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
