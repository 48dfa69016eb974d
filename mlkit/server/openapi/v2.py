"""The part of ``/openapi.json`` that describes the Open Inference Protocol."""

from mlkit.server.openapi import models
from mlkit.server.openapi.models import Described
from mlkit.server.openapi.parts import (
    MODEL_ERRORS,
    PLAIN,
    PREDICTION_ERRORS,
    Answer,
    Doc,
    get,
    media,
    operation,
    ref,
    strict,
)
from mlkit.server.problems import JSON
from mlkit.server.protocols import v2, v2_content, v2_messages, v2_outputs

_TEXT: Doc = {"type": "string"}
_TEXT_OR_NOT: Doc = {"type": ["string", "null"]}
_PARAMETERS: Doc = {
    "type": ["object", "null"],
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}
_BOOLEAN: Doc = {"type": "boolean"}
_BYTES: Doc = {
    "type": "string",
    "format": "binary",
    "description": "The JSON text with the bytes of tensors behind it, if some are asked for so; "
    f"the header {v2_messages.HEADER_LENGTH} says where it ends.",
}


def paths() -> Doc:
    """Return the routes that are the same whatever is served."""
    live = Answer("The process answers.", strict({"live": _BOOLEAN}))
    ready = Answer("Every model answers.", strict({"ready": _BOOLEAN}), statuses=(200, 503))
    about = strict(
        {"name": _TEXT, "version": _TEXT, "extensions": {"type": "array", "items": _TEXT}}
    )
    return {
        "/v2": get("v2", "v2", "About this server", Answer("It.", about), error=PLAIN),
        "/v2/health/live": get("v2_live", "v2", "Does it answer?", live, public=True, error=PLAIN),
        "/v2/health/ready": get(
            "v2_ready", "v2", "Do all models answer?", ready, public=True, error=PLAIN
        ),
    }


def model_paths(model: Described) -> Doc:
    """Return the routes of ``model``, with and without its version."""
    name = model.name
    versioned = f"/v2/models/{name}/versions/{model.version}"
    return {
        **_model_paths(model, f"/v2/models/{name}", name),
        **_model_paths(model, versioned, f"{name}_{model.version}"),
    }


def schemas() -> Doc:
    """Return the schemas of requests, answers and metadata."""
    shape: Doc = {"type": "array", "items": {"type": "integer"}}
    described = strict({"name": _TEXT, "datatype": _TEXT, "shape": shape})
    tensor = strict(
        {
            "name": _TEXT,
            "shape": shape,
            "datatype": _TEXT,
            "parameters": _PARAMETERS,
            "data": {"type": ["array", "null"]},
        },
        required=["name", "shape", "datatype"],
    )
    described_list: Doc = {"type": "array", "items": described}
    return {
        "InferTensor": tensor,
        "InferAnswer": strict(
            {
                "model_name": _TEXT,
                "model_version": _TEXT,
                "id": _TEXT,
                "parameters": _PARAMETERS,
                "outputs": {"type": "array", "items": ref("InferTensor")},
            },
            required=["model_name", "outputs"],
        ),
        "Metadata": strict(
            {
                "name": _TEXT,
                "versions": {"type": "array", "items": _TEXT},
                "platform": _TEXT,
                "inputs": described_list,
                "outputs": described_list,
            }
        ),
    }


def _model_paths(model: Described, base: str, suffix: str) -> Doc:
    ready = Answer("It does.", strict({"name": _TEXT, "ready": _BOOLEAN}), statuses=(200, 503))
    about = Answer("Its tensors.", ref("Metadata"))
    return {
        base: get(
            f"v2_{suffix}", "v2", f"About {model.name}", about, errors=MODEL_ERRORS, error=PLAIN
        ),
        f"{base}/ready": get(
            f"v2_ready_{suffix}",
            "v2",
            f"Does {model.name} answer?",
            ready,
            errors=MODEL_ERRORS,
            error=PLAIN,
        ),
        f"{base}/infer": {"post": _infer(model, f"v2_infer_{suffix}")},
    }


def _infer(model: Described, name: str) -> Doc:
    return operation(
        name,
        tag="v2",
        summary=f"Predict {model.schema.target} as the Open Inference Protocol asks",
        answer=Answer("A tensor for each output.", ref("InferAnswer"), others={v2.BINARY: _BYTES}),
        errors=PREDICTION_ERRORS,
        error=PLAIN,
        body={JSON: media(_request(model), models.v2_examples(model))},
    )


def _request(model: Described) -> Doc:
    """Return the schema of a request; which outputs there are depends on the model."""
    names = v2_outputs.names(model.schema, probabilities=model.probabilities)
    name: Doc = {"type": "string", "enum": list(names)}
    output = strict({"name": name, "parameters": _output_parameters()}, required=["name"])
    outputs: Doc = {
        "type": ["array", "null"],
        "description": "Each at most once.",
        "items": output,
        "maxItems": len(names),
        "uniqueItems": True,
    }
    return strict(
        {
            "id": _TEXT_OR_NOT,
            "model_name": {"enum": [model.name, None]},
            "parameters": _PARAMETERS,
            "inputs": {"type": "array", "items": ref("InferTensor"), "minItems": 1},
            "outputs": outputs,
        },
        required=["inputs"],
    )


def _output_parameters() -> Doc:
    """Return the schema of what may be said of an output: all but what the server refuses."""
    return {
        **_PARAMETERS,
        "properties": {
            "binary_data": {**_BOOLEAN, "description": "As bytes behind the JSON text."},
            "content_type": {"enum": [*v2_content.PLAIN, None]},
        },
        "propertyNames": {"not": {"enum": list(v2_outputs.UNKNOWN)}},
    }
