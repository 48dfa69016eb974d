"""The scoring protocol of ``mlflow models serve``, which SageMaker's ``/invocations`` shares.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from mlkit.errors import InvalidInputError
from mlkit.server import problems, wire
from mlkit.server.problems import Fault, RefusedError, Reply
from mlkit.server.protocols import csv_rows, instances
from mlkit.server.protocols.instances import Params
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs.rows import Reader, Rows

CSV = "text/csv"
KINDS: tuple[str, ...] = (problems.JSON, CSV)
ERROR_CODES = {  # MLflow's; a status that MLflow never sends has the closest one
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    408: "BAD_REQUEST",
    409: "RESOURCE_CONFLICT",
    413: "BAD_REQUEST",
    415: "BAD_REQUEST",
    422: "INVALID_PARAMETER_VALUE",  # sent with 400, as MLflow does
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frame as ``DataFrame.to_dict(orient="split")`` writes it; the index is ignored."""

    columns: list[str]
    data: list[list[Any]]
    index: Annotated[list[Any] | None, msgspec.Meta(description="Ignored.")] = None


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /invocations`` as JSON: exactly one field besides ``params``."""

    dataframe_split: Split | UnsetType = UNSET
    dataframe_records: list[dict[str, Any]] | UnsetType = UNSET
    instances: Any = UNSET
    inputs: Any = UNSET
    params: Params | None = None


FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_decoder = msgspec.json.Decoder(Request)


def decode(reader: Reader, message: Message) -> Query:
    """Return the rows of a body; raises RefusedError 400, 413 or 415, or InvalidInputError."""
    _refuse_other_charsets(message)
    if message.kind == CSV:
        rows = csv_rows.read(reader, message.body, message.max_rows)
        return instances.query(reader, rows, None, message)
    request = wire.decode(_decoder, message.body)
    rows = _read(reader, request, message.max_rows)
    return instances.query(reader, rows, request.params, message)


def reply(answers: Answers, query: Query) -> Reply:
    """Return the response to a request: a list with a prediction for each row."""
    return instances.reply(answers, query)


def refuse(fault: Fault) -> Reply:
    """Return the response to a request that failed, in MLflow's format.

    MLflow has one status, 400, for malformed bodies and for invalid values.
    """
    status = 400 if fault.status == HTTPStatus.UNPROCESSABLE_ENTITY else fault.status
    content = {
        **fault.details,
        "error_code": ERROR_CODES.get(fault.status, "INTERNAL_ERROR"),
        "message": fault.detail,
    }
    body = msgspec.json.encode(content, enc_hook=str)
    return problems.reply(body, status=status, headers=fault.headers)


def _read(reader: Reader, request: Request, max_rows: int) -> Rows:
    sent = [form for form in FORMS if getattr(request, form) is not UNSET]
    if len(sent) != 1:
        raise InvalidInputError(
            f"the body must have exactly one of {', '.join(FORMS)}; "
            f"it has {' and '.join(sent) or 'none'}"
        )
    split, records = request.dataframe_split, request.dataframe_records
    if isinstance(split, Split):
        wire.refuse_many(len(split.data), max_rows)
        return reader.lists(split.columns, split.data)
    if isinstance(records, list):
        wire.refuse_many(len(records), max_rows)
        return reader.objects(records)
    return instances.read(reader, sent[0], getattr(request, sent[0]), max_rows)


def _refuse_other_charsets(message: Message) -> None:
    """Raise RefusedError 415 if the Content-Type has a charset other than UTF-8."""
    parameters = str(message.headers.get("CONTENT_TYPE") or "").lower().split(";")[1:]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8"):
            raise RefusedError(
                415, f"the body must be UTF-8; the header Content-Type says {value.strip()[:32]}"
            )
