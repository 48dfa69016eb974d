"""The common part of MLflow's and KServe's protocols: rows without ids in, plain values out."""

from collections.abc import Sequence
from typing import Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server import problems, wire
from mlkit.server.problems import Reply
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.inputs.row_messages import RequestId
from mlkit.steps.inputs.rows import Reader, Rows


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a request: class probabilities, and the id that makes it idempotent."""

    probabilities: bool = False
    request_id: RequestId | None = None


class Predictions(msgspec.Struct, frozen=True):
    """The answer: a value for each row or, if asked for, its ``{class: probability}``."""

    predictions: Sequence[Label | dict[str, float]]


def query(reader: Reader, rows: Rows, params: Params | None, message: Message) -> Query:
    """Return the query for ``rows``; raises InvalidInputError for unsupported ``params``."""
    params = params or Params()
    if params.probabilities and reader.schema.task == "regression":
        raise InvalidInputError("'probabilities' are asked for, but a regression has none")
    if params.probabilities and not message.probabilities:
        raise InvalidInputError(
            "'probabilities' are asked for, but this model's estimator has none"
        )
    return Query(rows, request_id=params.request_id, options=params)


def reply(answers: Answers, query: Query) -> Reply:
    """Return the response to a request: a list with a prediction for each row."""
    found: Sequence[Label | dict[str, float]] = answers.values
    if query.options.probabilities and answers.probabilities is not None:
        labels = answers.labels
        found = [dict(zip(labels, row, strict=True)) for row in answers.probabilities]
    return problems.json_reply(Predictions(found))


def read(reader: Reader, name: str, value: object, max_rows: int) -> Rows:
    """Return the rows in the JSON value of the field ``name``.

    The value is a list of objects, of lists in the order of the schema, or of single values for a
    model with one column; or one object with a list for each column. Raises InvalidInputError, or
    RefusedError 413.
    """
    if isinstance(value, dict):
        return _read_columns(reader, name, value, max_rows)
    if not isinstance(value, list):
        raise InvalidInputError(f"'{name}' must be a list of rows")
    wire.refuse_many(len(value), max_rows)
    kinds = {_kind(row) for row in value}
    if len(kinds) > 1:
        raise InvalidInputError(f"the rows of '{name}' are of more than one form: {_listed(kinds)}")
    if kinds == {"object"}:
        return reader.objects(value)
    if kinds == {"list"}:
        return reader.lists(reader.names, value)
    return _read_single(reader, name, value)


def _read_columns(reader: Reader, name: str, columns: dict[str, Any], max_rows: int) -> Rows:
    for column, values in columns.items():
        if not isinstance(values, list):
            raise InvalidInputError(
                f"column '{column[:100]}' of '{name}' must be a list with one value a row"
            )
        wire.refuse_many(len(values), max_rows)
    return reader.columns(columns)


def _read_single(reader: Reader, name: str, values: Sequence[object]) -> Rows:
    if values and len(reader.names) > 1:
        raise InvalidInputError(
            f"'{name}' holds single values, but a row has {_columns(reader.schema)}; "
            "send objects, or lists in this order"
        )
    return reader.lists(reader.names, [[value] for value in values])


def _kind(row: object) -> str:
    if isinstance(row, dict):
        return "object"
    return "list" if isinstance(row, list) else "single value"


def _listed(kinds: set[str]) -> str:
    return " and ".join(sorted(kinds))


def _columns(schema: InputSchema) -> str:
    names = schema.names
    more = ", ..." if len(names) > 20 else ""
    return f"{len(names)} columns ({', '.join(names[:20])}{more})"
