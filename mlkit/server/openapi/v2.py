"""The part of ``/openapi.json`` that describes the Open Inference Protocol."""

from mlkit.server.openapi import examples
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
    shape,
)
from mlkit.server.problems import JSON
from mlkit.server.protocols import v2, v2_content, v2_messages, v2_metadata, v2_outputs
from mlkit.server.protocols.v2_messages import InferAnswer, InferTensor, Output, Request

BODIES = (
    InferTensor, InferAnswer, v2_metadata.Live, v2_metadata.Ready, v2_metadata.ModelReady,
    v2_metadata.ServerMetadata, v2_metadata.Metadata,
)  # fmt: skip
_BYTES: Doc = {
    "type": "string",
    "format": "binary",
    "description": "The JSON text with the bytes of tensors behind it, if some are asked for so; "
    f"the header {v2_messages.HEADER_LENGTH} says where it ends.",
}


def paths() -> Doc:
    """Return the routes that do not depend on the models."""
    live = Answer("The process answers.", ref("Live"))
    ready = Answer("Every model answers.", ref("Ready"), statuses=(200, 503))
    about = Answer("It.", ref("ServerMetadata"))
    return {
        "/v2": get("v2", "v2", "About this server", about, error=PLAIN),
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


def _model_paths(model: Described, base: str, suffix: str) -> Doc:
    ready = Answer("It does.", ref("ModelReady"), statuses=(200, 503))
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
        body={JSON: media(_request(model), examples.v2(model))},
    )


def _request(model: Described) -> Doc:
    """Return the schema of a request with the outputs of the model."""
    names = v2_outputs.names(model.schema, probabilities=model.probabilities)
    outputs: Doc = {
        "type": ["array", "null"],
        "description": "Each at most once.",
        "items": shape(Output, name={"enum": names}, parameters=_output_parameters()),
        "maxItems": len(names),
        "uniqueItems": True,
    }
    return shape(Request, model_name={"enum": [model.name, None]}, outputs=outputs)


def _output_parameters() -> Doc:
    """Return the schema of the parameters of an output, without those that are refused."""
    return {
        **shape(Output)["properties"]["parameters"],
        "properties": {
            "binary_data": {"type": "boolean", "description": "As bytes behind the JSON text."},
            "content_type": {"enum": [*v2_content.PLAIN, None]},
        },
        "propertyNames": {"not": {"enum": v2_outputs.UNKNOWN}},
    }
