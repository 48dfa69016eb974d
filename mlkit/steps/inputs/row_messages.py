"""JSON of the native request and response, used by the server and by the gate."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.rows import Reader, Rows

RequestId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=128,
        description="The same request with the same id gets the same answer and is logged once; "
        "another request with it is refused.",
    ),
]
EntityIds = Annotated[
    list[str | int | None] | None,
    msgspec.Meta(description="Whom each row is about: as many as there are rows."),
]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /predict/<model>``."""

    rows: list[dict[str, Any]]
    entity_ids: EntityIds = None
    request_id: RequestId | None = None


class Row(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The prediction for one row."""

    id: str
    value: Label
    probabilities: dict[str, float] | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The response to a request."""

    request_id: str
    model: str
    version: int
    role: str
    predictions: list[Row]


by_value = msgspec.json.Decoder(Request)


def typed(reader: Reader) -> msgspec.json.Decoder[Any]:
    """Return the decoder of requests whose rows have the types of ``reader``."""
    return _typed(reader.row_type)


def rows(
    ids: Sequence[str],
    values: Sequence[Label],
    probabilities: Sequence[Sequence[float]] | None,
    labels: Sequence[str],
) -> list[Row]:
    """Return the predictions by row; ``labels`` name the probabilities."""
    if probabilities is None:
        return list(map(Row, ids, values))
    named = [dict(zip(labels, row, strict=True)) for row in probabilities]
    return list(map(Row, ids, values, named))


def read(reader: Reader, body: bytes) -> Rows:
    """Return the rows of a body; raises InvalidInputError with all problems."""
    if reader.by_name:
        try:
            return reader.typed(typed(reader).decode(body).rows)
        except msgspec.ValidationError:
            pass  # decoded value by value below, to locate the problems
    return reader.objects(by_value.decode(body).rows)


@lru_cache(maxsize=256)
def _typed(row_type: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        ("rows", list[row_type]),  # type: ignore[valid-type]  # created at run time
        ("entity_ids", EntityIds, None),
        ("request_id", RequestId | None, None),
    ]
    kind = msgspec.defstruct("TypedRequest", fields, frozen=True, forbid_unknown_fields=True)
    return msgspec.json.Decoder(kind)
