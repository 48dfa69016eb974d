"""The OpenAPI document: every route of this server, with the schemas of its models."""

from collections.abc import Sequence
from typing import Any

from mlkit.flows.features.requests import Wanted
from mlkit.flows.log.actuals import Actuals, Received
from mlkit.flows.registry import input_schema
from mlkit.server.models.held import classes_of
from mlkit.server.openapi import examples, models, v2
from mlkit.server.openapi.models import Described
from mlkit.server.openapi.parts import (
    MLFLOW,
    MLFLOW_ERRORS,
    MODEL_ERRORS,
    PLAIN,
    PREDICTION_ERRORS,
    Answer,
    Doc,
    error_responses,
    error_schemas,
    get,
    media,
    operation,
    ref,
    shape,
    shapes,
)
from mlkit.server.problems import JSON
from mlkit.server.readiness import Life, Readiness
from mlkit.store.registry import ModelVersion

_TEXT: Doc = {"type": "string"}
_CSV = "text/csv"
_ABOUT = (
    "Send a token as `Authorization: Bearer TOKEN`; a server on loopback without tokens needs "
    "none. Bodies are UTF-8 and not compressed, at most {bytes} bytes and {rows} rows. Numbers "
    "are finite; a missing value is `null`, where the column may be missing."
)


def describe(version: ModelVersion, wanted: Wanted | None = None) -> Described:
    """Return the description of a model that ``version`` serves.

    ``wanted`` are the columns that it gets from feature views.
    """
    schema = input_schema.of(version)
    return Described(
        name=version.model.name,
        version=version.number,
        schema=schema,
        labels=classes_of(schema).labels,
        example=examples.row(schema),
        probabilities=version.golden.get("probabilities", ()) is not None,
        sources=wanted.sources if wanted else {},
        keys=wanted.keys if wanted else (),
    )


def document(
    served: Sequence[Described],
    *,
    max_rows: int,
    max_body_bytes: int,
    version: str,
    default: str | None = None,
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; ``default`` is the model behind ``/invocations``."""
    schemas = {**error_schemas(), **_own_schemas(max_rows)}
    paths = _paths()
    for model in served:
        schemas |= models.schemas(model, max_rows)
        paths |= _model_paths(model)
        if model.name == default:
            paths["/invocations"] = {"post": _invocations(model, "invocations")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mlkit",
            "version": version,
            "description": _ABOUT.format(bytes=max_body_bytes, rows=max_rows),
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": error_responses(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> Doc:
    """Return the routes that do not depend on the models."""
    readiness = Answer("What is served.", ref("Readiness"), statuses=(200, 503))
    ready = Answer("Every model answers.", {}, statuses=(200, 503))
    alive = Answer("The process answers.", ref("Life"))
    return {
        "/livez": get("livez", "health", "Does the process answer?", alive, public=True),
        "/readyz": get("readyz", "health", "Do all models answer?", readiness, public=True),
        "/ping": get("ping", "mlflow", "SageMaker's health check", ready, public=True),
        "/health": get("health", "mlflow", "MLflow's health check", ready, public=True),
        "/version": get(
            "version", "mlflow", "The version of mlkit", Answer("It.", _TEXT, "text/plain")
        ),
        "/metrics": get(
            "metrics",
            "health",
            "Figures for Prometheus",
            Answer("Text format 0.0.4.", _TEXT, "text/plain"),
        ),
        "/openapi.json": get(
            "openapi", "health", "This document", Answer("OpenAPI 3.1.", {"type": "object"})
        ),
        "/": get("page", "health", "A page for people", Answer("HTML.", _TEXT, "text/html")),
        "/actuals": {"post": _actuals()},
        **v2.paths(),
    }


def _model_paths(model: Described) -> Doc:
    name = model.name
    paths: Doc = {
        f"/predict/{name}": {"post": _predict(model)},
        f"/models/{name}/invocations": {"post": _invocations(model, f"invocations_{name}")},
        f"/v1/models/{name}:predict": {"post": _kserve(model)},
        f"/v1/models/{name}": get(
            f"v1_{name}",
            "kserve",
            f"Does {name} answer?",
            Answer("It does.", ref("ModelReady")),
            errors=(*MODEL_ERRORS, 503),
            error=PLAIN,
        ),
    }
    return paths | v2.model_paths(model)


def _predict(model: Described) -> Doc:
    return operation(
        f"predict_{model.name}",
        tag="mlkit",
        summary=f"Predict {model.schema.target}",
        answer=Answer("A prediction for each row.", ref(f"{model.name}.Answer")),
        errors=PREDICTION_ERRORS,
        body={JSON: media(ref(f"{model.name}.Request"), examples.native(model))},
    )


def _invocations(model: Described, name: str) -> Doc:
    return operation(
        name,
        tag="mlflow",
        summary=f"Predict {model.schema.target} as MLflow and SageMaker ask",
        answer=Answer("A prediction for each row.", ref(f"{model.name}.Predictions")),
        errors=MLFLOW_ERRORS,
        error=MLFLOW,
        body={
            JSON: media(ref(f"{model.name}.MlflowRequest"), examples.mlflow(model)),
            _CSV: media(
                {"type": "string", "description": "A header line, then a line for each row."},
                {"csv": examples.csv_text(model)},
            ),
        },
    )


def _kserve(model: Described) -> Doc:
    return operation(
        f"v1_predict_{model.name}",
        tag="kserve",
        summary=f"Predict {model.schema.target} as KServe V1 and Vertex AI ask",
        answer=Answer("A prediction for each row.", ref(f"{model.name}.Predictions")),
        errors=PREDICTION_ERRORS,
        error=PLAIN,
        body={JSON: media(ref(f"{model.name}.Instances"), examples.kserve(model))},
    )


def _actuals() -> Doc:
    identifier = "01a20bcd-b70f-795f-a898-287a7fbb75e2"
    item = {"prediction_id": identifier, "actual": 1, "observed_at": "2026-03-01T12:00:00Z"}
    return operation(
        "actuals",
        tag="mlkit",
        summary="Say what really happened",
        answer=Answer("What became of the items.", ref("Received")),
        errors=[status for status in PREDICTION_ERRORS if status != 404],
        body={JSON: media(ref("Actuals"), {"one": {"items": [item]}})},
    )


def _own_schemas(max_rows: int) -> Doc:
    """Return the schemas that do not depend on the models."""
    found = shapes(Life, Readiness, Actuals, Received, *v2.BODIES)
    items = found["Actuals"]["properties"]["items"]
    return {**found, "Actuals": shape(Actuals, items={**items, "maxItems": max_rows})}
