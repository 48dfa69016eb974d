"""The parts of the OpenAPI document that are the same for every model: operations and errors."""

from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from mlkit.server.problems import JSON, PROBLEM

Doc = dict[str, Any]

_REF = "#/components/schemas/{name}"
NATIVE, MLFLOW, PLAIN = "Problem", "MlflowError", "Error"  # the three error formats
PREDICTION_ERRORS = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)
MLFLOW_ERRORS = tuple(status for status in PREDICTION_ERRORS if status != 422)  # sent as 400
READ_ERRORS = (401, 403, 429)
MODEL_ERRORS = (*READ_ERRORS, 404)
_ERROR_KINDS = {NATIVE: PROBLEM, MLFLOW: JSON, PLAIN: JSON}
_REASONS = {
    400: "The body is not valid JSON or CSV.",
    401: "A token is needed, or this one is unknown, expired or revoked.",
    403: "The token does not allow this, or the Host or Origin header is not one of this server.",
    404: "No such model or version is served.",
    408: "The body did not arrive in time.",
    409: "The request_id was used for another request, or an actual contradicts an earlier one.",
    413: "The body has too many bytes or too many rows.",
    415: "The body has another media type or encoding than those listed.",
    422: "The body has another shape, or values do not fit the model: each is named.",
    429: "Too many requests, or too many wrong tokens.",
    503: "Not ready, or the prediction log cannot be written; try again.",
}
_HEADERS = {
    401: {"WWW-Authenticate": "Which kind of token is wanted."},
    429: {"Retry-After": "Seconds to wait."},
    503: {"Retry-After": "Seconds to wait."},
}


class Answer(NamedTuple):
    """The response of an operation that succeeds."""

    text: str
    schema: Doc
    kind: str = JSON
    statuses: Sequence[int] = (200,)
    others: Mapping[str, Doc] = {}  # alternative schemas by media type


def ref(name: str) -> Doc:
    """Return a reference to the schema ``name``."""
    return {"$ref": _REF.format(name=name)}


@cache
def shapes(*kinds: type[msgspec.Struct]) -> Mapping[str, Doc]:
    """Return the schemas of structs and of nested structs, by name, without other members."""
    _, found = msgspec.json.schema_components(kinds, ref_template=_REF)
    for schema in found.values():
        del schema["title"]  # the same for all models, but generated clients need unique names
        schema["additionalProperties"] = False
    return found


def shape(kind: type[msgspec.Struct], **members: Doc | None) -> Doc:
    """Return the schema of a struct with ``members`` replaced for one model, None: removed."""
    schema = shapes(kind)[kind.__name__]
    found = {**schema["properties"], **members}
    kept = {name: each for name, each in found.items() if each is not None}
    return {**schema, "properties": kept}


def strict(properties: Mapping[str, Doc]) -> Doc:
    """Return the schema of an object with ``properties``, all required, and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def media(schema: Doc, examples: Mapping[str, Any]) -> Doc:
    """Return a body's schema with its named examples."""
    named = {name: {"value": value} for name, value in examples.items()}
    return {"schema": schema, "examples": named}


def operation(
    name: str,
    *,
    tag: str,
    summary: str,
    answer: Answer,
    errors: Sequence[int] = READ_ERRORS,
    error: str = NATIVE,
    body: Mapping[str, Doc] | None = None,
    public: bool = False,
) -> Doc:
    """Return one operation with every status code that it can return."""
    kinds = {answer.kind: answer.schema, **answer.others}
    content = {kind: {"schema": schema} for kind, schema in kinds.items()}
    responses: Doc = {
        str(status): {"description": answer.text if status == 200 else _REASONS[status]}
        | {"content": content}
        for status in answer.statuses
    }
    for status in (403,) if public else errors:
        responses[str(status)] = {"$ref": f"#/components/responses/{error}{status}"}
    made: Doc = {"operationId": name, "tags": [tag], "summary": summary, "responses": responses}
    if body is not None:
        made["requestBody"] = {"required": True, "content": dict(body)}
    if public:
        made["security"] = []
    return made


def get(name: str, tag: str, summary: str, answer: Answer, **options: Any) -> Doc:
    """Return a path with the method GET only."""
    return {"get": operation(name, tag=tag, summary=summary, answer=answer, **options)}


@cache
def error_responses() -> Doc:
    """Return the response to each error in each protocol's format."""
    return {
        f"{schema}{status}": {
            "description": f"{HTTPStatus(status).phrase}. {_reason(schema, status)}",
            "headers": _headers(status),
            "content": {kind: {"schema": ref(schema)}},
        }
        for schema, kind in _ERROR_KINDS.items()
        for status in _REASONS
    }


def _reason(schema: str, status: int) -> str:
    """Return when a status is sent; MLflow's 400 includes what is 422 elsewhere."""
    both = (schema, status) == (MLFLOW, 400)
    return f"{_REASONS[400]} {_REASONS[422]}" if both else _REASONS[status]


@cache
def error_schemas() -> Doc:
    """Return the schemas of the three error formats; each may have more members."""
    text: Doc = {"type": "string"}
    problems = {
        "type": "array",
        "description": "Every bad value, rows counted from 0.",
        "items": strict({"row": {"type": "integer"}, "column": text, "problem": text}),
    }
    return {
        NATIVE: _open(
            {"type": text, "title": text, "status": {"type": "integer"}, "detail": text}, problems
        ),
        MLFLOW: _open({"error_code": text, "message": text}, problems),
        PLAIN: _open({"error": text}, problems),
    }


def _open(properties: Mapping[str, Doc], problems: Doc) -> Doc:
    return {
        "type": "object",
        "properties": {**properties, "problems": problems},
        "required": list(properties),
    }


def _headers(status: int) -> Doc:
    return {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in _HEADERS.get(status, {}).items()
    }
