"""The Open Inference Protocol (V2) that KServe, Triton and MLServer share: tensors in and out."""

from typing import Final, NamedTuple

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server import problems
from mlkit.server.problems import Fault, Reply
from mlkit.server.protocols import v2_inputs, v2_messages, v2_outputs
from mlkit.server.protocols.v2_messages import InferAnswer, Request
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs.rows import Reader

BINARY: Final = "application/octet-stream"
_NAME: Final = 3  # index of MODEL in the path /v2/models/MODEL/infer
KINDS: tuple[str, ...] = (problems.JSON, BINARY, "")  # NVIDIA's client sends no media type


class Options(NamedTuple):
    """The client's id, and for each requested output whether it is sent as bytes."""

    id: str | None
    outputs: dict[str, bool]


def decode(reader: Reader, message: Message) -> Query:
    """Return the rows of a body; raises RefusedError 400 or 413, or InvalidInputError."""
    text, rest = v2_messages.split(message.body, message.headers)
    request = v2_messages.read_numbers(text) if v2_inputs.all_numbers(reader) else None
    request = request or v2_messages.read(text)
    _refuse_other_model(request, message)
    known = v2_outputs.names(reader.schema, probabilities=message.probabilities)
    options = Options(request.id, v2_outputs.wanted(known, request))
    rows = v2_inputs.read(reader, request, rest, message.max_rows)
    return Query(rows, request_id=_request_id(request), options=options)


def reply(answers: Answers, query: Query) -> Reply:
    """Return the response to a request."""
    tensors, rest = v2_outputs.tensors(answers, query.options.outputs)
    answer = InferAnswer(
        answers.model,
        str(answers.version),
        tensors,
        query.options.id,
        {"request_id": answers.request_id, "role": answers.role},
    )
    text = msgspec.json.encode(answer)
    if not any(query.options.outputs.values()):
        return problems.reply(text)
    length = [(v2_messages.HEADER_LENGTH, str(len(text)))]
    return problems.reply(text + rest, kind=BINARY, headers=length)


def refuse(fault: Fault) -> Reply:
    """Return the response to a request that failed."""
    body = msgspec.json.encode({**fault.details, "error": fault.detail}, enc_hook=str)
    return problems.reply(body, status=fault.status, headers=fault.headers)


def _refuse_other_model(request: Request, message: Message) -> None:
    """Raise InvalidInputError if the body names another model than the path."""
    asked = str(message.headers.get("PATH_INFO") or "").split("/")
    if request.model_name is not None and len(asked) > _NAME and request.model_name != asked[_NAME]:
        raise InvalidInputError(
            f"the body is for the model '{request.model_name[:100]}', "
            f"the path for '{asked[_NAME][:100]}'"
        )


def _request_id(request: Request) -> str | None:
    """Return the parameter ``request_id``, which makes a request idempotent.

    The protocol's own ``id`` does not: clients reuse it for other requests.
    """
    found = (request.parameters or {}).get("request_id")
    if found is not None and not (isinstance(found, str) and 1 <= len(found) <= 128):
        raise InvalidInputError("the parameter request_id is a text of 1 to 128 characters")
    return found
