"""KServe's V1 protocol, which Vertex AI and TensorFlow Serving share.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from typing import Any

import msgspec

from mlkit.server import problems, wire
from mlkit.server.problems import Fault, Reply
from mlkit.server.protocols import instances
from mlkit.server.protocols.instances import Params
from mlkit.server.protocols.v2_metadata import ModelReady
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs.rows import Reader

KINDS: tuple[str, ...] = (problems.JSON,)


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/models/<model>:predict``; ``parameters`` is Vertex AI's."""

    instances: list[Any]
    parameters: Params | None = None


_decoder = msgspec.json.Decoder(Request)


def decode(reader: Reader, message: Message) -> Query:
    """Return the rows of a body; raises RefusedError 400 or 413, or InvalidInputError."""
    request = wire.decode(_decoder, message.body)
    rows = instances.read(reader, "instances", request.instances, message.max_rows)
    return instances.query(reader, rows, request.parameters, message)


def reply(answers: Answers, query: Query) -> Reply:
    """Return the response to a request."""
    return instances.reply(answers, query)


def refuse(fault: Fault) -> Reply:
    """Return the response to a request that failed."""
    body = msgspec.json.encode({**fault.details, "error": fault.detail}, enc_hook=str)
    return problems.reply(body, status=fault.status, headers=fault.headers)


def status(model: str, *, ready: bool) -> Reply:
    """Return the response to ``GET /v1/models/<model>``: 503 while no version of it answers."""
    body = msgspec.json.encode(ModelReady(model, ready))
    return problems.reply(body, status=200 if ready else 503)
