"""mlkit's own protocol: rows of named values in, an id and a value for each row out."""

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server import problems, wire
from mlkit.server.problems import Fault, Reply
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs import row_messages
from mlkit.steps.inputs.row_messages import Answer
from mlkit.steps.inputs.rows import Reader

KINDS: tuple[str, ...] = (problems.JSON,)

_FORM = '{"rows": [{column: value, ...}, ...]}'
_encode = msgspec.json.encode
_tuple = msgspec.structs.astuple


def decode(reader: Reader, message: Message) -> Query:
    """Return the rows of a body; raises RefusedError 400, or InvalidInputError that names all."""
    body = message.body
    if not reader.by_name:
        return _decode_by_value(reader, message)
    try:
        request = row_messages.typed(reader).decode(body)
        received = list(map(_tuple, request.rows))
        rows = reader.settled(received)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInputError, RecursionError, ValueError):
        return _decode_by_value(reader, message)
    query = Query(rows, request.entity_ids, request.request_id)
    wire.refuse_duplicate_keys(body, colons=reader.colons(received) + _colons(query))
    return query


def reply(answers: Answers, query: Query) -> Reply:  # noqa: ARG001  # every protocol's signature
    """Return the response to a request."""
    rows = row_messages.rows(answers.ids, answers.values, answers.probabilities, answers.labels)
    document = Answer(answers.request_id, answers.model, answers.version, answers.role, rows)
    return problems.reply(_encode(document))


def refuse(fault: Fault) -> Reply:
    """Return the response to a request that failed."""
    return problems.document(fault)


def _decode_by_value(reader: Reader, message: Message) -> Query:
    """Decode a body that is invalid, or valid in an unusual way (``3.0`` for an integer)."""
    try:
        request = wire.decode(row_messages.by_value, message.body)
    except InvalidInputError as error:
        raise InvalidInputError(f"{error}; send {_FORM}", error.details) from error
    wire.refuse_many(len(request.rows), message.max_rows)
    return Query(reader.objects(request.rows), request.entity_ids, request.request_id)


def _colons(query: Query) -> int:
    """Return the number of colons outside of the rows in a body without duplicate keys."""
    total = 1
    if query.request_id is not None:
        total += 1 + query.request_id.count(":")
    if query.entity_ids is not None:
        total += 1 + sum(str(identifier).count(":") for identifier in query.entity_ids)
    return total
