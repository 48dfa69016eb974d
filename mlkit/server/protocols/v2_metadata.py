"""The metadata of the Open Inference Protocol: the server, and the tensors of a model."""

from collections.abc import Sequence
from typing import Final

import msgspec

from mlkit.server.protocols import v2_outputs
from mlkit.steps.inputs.columns import InputSchema, Kind

PLATFORM: Final = "mlkit_sklearn"
EXTENSIONS: Final = ("binary_tensor_data",)
DATATYPES: Final[dict[Kind, str]] = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "category": "BYTES",
    "datetime": "BYTES",
}


class Live(msgspec.Struct, frozen=True):
    """The body of ``GET /v2/health/live``."""

    live: bool


class Ready(msgspec.Struct, frozen=True):
    """The body of ``GET /v2/health/ready``."""

    ready: bool


class ModelReady(msgspec.Struct, frozen=True):
    """Whether a model answers; also the body of KServe's V1 protocol."""

    name: str
    ready: bool


class ServerMetadata(msgspec.Struct, frozen=True):
    """The body of ``GET /v2``."""

    name: str
    version: str
    extensions: Sequence[str]


class TensorMetadata(msgspec.Struct, frozen=True):
    """An input or output tensor of a model; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: Sequence[int]


class Metadata(msgspec.Struct, frozen=True):
    """The body of ``GET /v2/models/<model>``."""

    name: str
    versions: Sequence[str]
    platform: str
    inputs: Sequence[TensorMetadata]
    outputs: Sequence[TensorMetadata]


def server(version: str) -> ServerMetadata:
    """Describe this server."""
    return ServerMetadata("mlkit", version, EXTENSIONS)


def model(
    name: str, versions: Sequence[int], schema: InputSchema, outputs: Sequence[str]
) -> Metadata:
    """Describe a model with its served ``versions`` and its ``outputs``."""
    inputs = [
        TensorMetadata(column.name, DATATYPES[column.kind], [-1]) for column in schema.columns
    ]
    given = [_output(output, schema) for output in outputs]
    return Metadata(name, [str(number) for number in versions], PLATFORM, inputs, given)


def _output(name: str, schema: InputSchema) -> TensorMetadata:
    if name == v2_outputs.VALUE:
        return TensorMetadata(name, v2_outputs.datatype(schema.classes), [-1])
    if name == v2_outputs.PROBABILITIES:
        return TensorMetadata(name, "FP64", [-1, len(schema.classes)])
    return TensorMetadata(name, "BYTES", [-1])
