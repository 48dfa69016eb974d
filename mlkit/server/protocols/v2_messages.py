"""The messages of the Open Inference Protocol, and the decoding of a request.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol and the binary
extension of https://github.com/triton-inference-server/server/blob/main/docs/protocol/.
"""

from typing import Annotated, Any, Final

import msgspec

from mlkit.server import wire
from mlkit.server.problems import RefusedError
from mlkit.server.wire import Environ

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
FLOATS: Final = ("FP16", "FP32", "FP64")

Scalar = str | int | float | bool | None
Parameters = dict[str, Scalar]
Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class InferTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One tensor of a request; its data are here, row by row or flat, or behind the JSON text."""

    name: str
    shape: list[Dimension]
    datatype: str
    parameters: Parameters | None = None
    data: list[Scalar | list[Scalar]] | None = None


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One requested output tensor."""

    name: str
    parameters: Parameters | None = None


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST /v2/models/<model>/infer``; the path says which model.

    KServe's own client repeats its name in the body.
    """

    inputs: Annotated[list[InferTensor], msgspec.Meta(min_length=1)]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[Output] | None = None
    model_name: str | None = None


class OutputTensor(msgspec.Struct, frozen=True, omit_defaults=True):
    """One tensor of an answer; without ``data`` they are behind the JSON text."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a request."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None
    parameters: Parameters | None = None


class NumericTensor(InferTensor, frozen=True):
    """A tensor of a request whose data are numbers only."""

    data: list[float | list[float]] | None = None  # type: ignore[assignment]  # only narrower


class _NumericRequest(Request, frozen=True):
    inputs: Annotated[list[NumericTensor], msgspec.Meta(min_length=1)]  # type: ignore[assignment]  # only narrower


_decoder = msgspec.json.Decoder(Request)
_numeric_decoder = msgspec.json.Decoder(_NumericRequest)
_BAD_TEXT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def split(body: bytes, headers: Environ) -> tuple[bytes, bytes]:
    """Return the JSON text of a body and the bytes behind it; raises RefusedError 400."""
    length = str(headers.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH") or "")
    if not length:
        return body, b""
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise RefusedError(400, f"the header {HEADER_LENGTH} is not a number")
    if int(length) > len(body):
        raise RefusedError(
            400, f"the header {HEADER_LENGTH} says {length}, but the body has {len(body)} bytes"
        )
    return body[: int(length)], body[int(length) :]


def read(text: bytes) -> Request:
    """Return the request in a JSON text; raises RefusedError 400, or InvalidInputError."""
    try:
        request = _decoder.decode(text)
    except _BAD_TEXT:
        return wire.decode(_decoder, text)  # raises the error for the client
    wire.refuse_duplicate_keys(text, colons=_colons(request))
    return request


def read_numbers(text: bytes) -> Request | None:
    """Return the request with floats as its only data: faster; None if ``read`` is needed."""
    try:
        request = _numeric_decoder.decode(text)
    except _BAD_TEXT:
        return None
    if not all(tensor.datatype in FLOATS for tensor in request.inputs):
        return None  # a float cannot hold every 64-bit integer
    wire.refuse_duplicate_keys(text, colons=_colons(request))
    return request


def _colons(request: Request) -> int:
    """Return the number of colons in ``request`` as JSON without escapes and duplicate keys."""
    tensors = request.inputs
    bare = [InferTensor(t.name, t.shape, t.datatype, t.parameters) for t in tensors]
    keys = msgspec.json.encode(msgspec.structs.replace(request, inputs=bare)).count(b":")
    texts = [tensor.data for tensor in tensors if tensor.datatype == "BYTES"]
    return (
        keys
        + sum(tensor.data is not None for tensor in tensors)
        + msgspec.json.encode(texts).count(b":")
    )
