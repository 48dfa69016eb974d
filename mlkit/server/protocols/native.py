"""mlkit's own protocol: rows of named values in, an id and a value for each of them out."""

from functools import lru_cache
from typing import Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server import problems, wire
from mlkit.server.problems import Fault, Reply
from mlkit.server.query import Answers, Message, Query, RequestId
from mlkit.steps.answers import Label
from mlkit.steps.rows import Reader

KINDS: tuple[str, ...] = (problems.JSON,)

EntityIds = list[str | int | None] | None


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /predict/<model>``."""

    rows: list[dict[str, Any]]
    entity_ids: EntityIds = None
    request_id: RequestId | None = None


class Row(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one row."""

    id: str
    value: Label
    probabilities: dict[str, float] | None = None


class Reply200(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request."""

    request_id: str
    model: str
    version: int
    role: str
    predictions: list[Row]


_FORM = '{"rows": [{column: value, ...}, ...]}'
_decoder = msgspec.json.Decoder(Request)
_encode = msgspec.json.encode
_tuple = msgspec.structs.astuple


def decode(reader: Reader, message: Message) -> Query:
    """Return the rows of a body; raises RefusedError 400, or InvalidInputError that names all."""
    body = message.body
    try:
        request = _typed_decoder(reader.row_type).decode(body)
        came = list(map(_tuple, request.rows))
        rows = reader.settled(came)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInputError, RecursionError, ValueError):
        return _decode_by_value(reader, message)
    query = Query(rows, request.entity_ids, request.request_id)
    if b"\\" in body or body.count(b":") != reader.colons(came) + _colons(query):
        wire.refuse_twins(body)
    return query


def reply(answers: Answers, query: Query) -> Reply:  # noqa: ARG001  # every protocol's signature
    """Return the answer to a request."""
    probabilities = answers.probabilities
    if probabilities is None:
        rows = list(map(Row, answers.ids, answers.values))
    else:
        labels = answers.labels
        named = [dict(zip(labels, row, strict=True)) for row in probabilities]
        rows = list(map(Row, answers.ids, answers.values, named))
    document = Reply200(answers.request_id, answers.model, answers.version, answers.role, rows)
    return problems.reply(_encode(document))


def refuse(fault: Fault) -> Reply:
    """Return the answer to a request that failed."""
    return problems.document(fault)


def _decode_by_value(reader: Reader, message: Message) -> Query:
    """Read a body that is wrong, or right in an unusual way (``3.0`` for a whole number)."""
    try:
        request = wire.decode(_decoder, message.body)
    except InvalidInputError as error:
        raise InvalidInputError(f"{error}; send {_FORM}", error.details) from error
    wire.refuse_many(len(request.rows), message.max_rows)
    return Query(reader.objects(request.rows), request.entity_ids, request.request_id)


def _colons(query: Query) -> int:
    """Return the colons of a body outside its rows if no key is there twice."""
    total = 1
    if query.request_id is not None:
        total += 1 + query.request_id.count(":")
    if query.entity_ids is not None:
        total += 1 + sum(str(identifier).count(":") for identifier in query.entity_ids)
    return total


@lru_cache(maxsize=256)
def _typed_decoder(row_type: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        ("rows", list[row_type]),  # type: ignore[valid-type]  # made at run time
        ("entity_ids", EntityIds, None),
        ("request_id", RequestId | None, None),
    ]
    kind = msgspec.defstruct("TypedRequest", fields, frozen=True, forbid_unknown_fields=True)
    return msgspec.json.Decoder(kind)
