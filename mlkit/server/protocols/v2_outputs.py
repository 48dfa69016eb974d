"""Answers as tensors: the outputs of a model, those requested, and their encoding."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server.protocols import v2_binary, v2_content
from mlkit.server.protocols.v2_messages import Output, OutputTensor, Request
from mlkit.server.query import Answers
from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.columns import InputSchema

VALUE: Final = "value"
PROBABILITIES: Final = "probabilities"
PREDICTION_ID: Final = "prediction_id"
UNKNOWN: Final = ("classification", "shared_memory_region")  # Triton's, not supported here
_DATATYPES: Final = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


class Content(NamedTuple):
    """An output tensor before its data are encoded as JSON or bytes."""

    datatype: str
    shape: list[int]
    values: Sequence[Any]


def names(schema: InputSchema, *, probabilities: bool) -> tuple[str, ...]:
    """Return the names of the outputs of a model with ``schema``."""
    if schema.task == "regression" or not probabilities:
        return (VALUE, PREDICTION_ID)
    return (VALUE, PROBABILITIES, PREDICTION_ID)


def datatype(classes: Sequence[Label]) -> str:
    """Return the datatype of the predictions: that of the classes, FP64 for a regression.

    Classes of more than one type are encoded as JSON texts (BYTES).
    """
    kinds = {type(label) for label in classes} or {float}
    return _DATATYPES[kinds.pop()] if len(kinds) == 1 else "BYTES"


def wanted(known: Sequence[str], request: Request) -> dict[str, bool]:
    """Return the names of the requested outputs, and for each whether to send it as bytes.

    Raises InvalidInputError for an output that is not among the ``known``.
    """
    binary = _flag(request.parameters, "binary_data_output", default=False)
    if not request.outputs:
        return dict.fromkeys(known, binary)
    asked: dict[str, bool] = {}
    for output in request.outputs:
        _check(output, known)
        if output.name in asked:
            raise InvalidInputError(f"the output '{output.name}' is asked for twice")
        asked[output.name] = _flag(output.parameters, "binary_data", default=binary)
    return asked


def _check(output: Output, known: Sequence[str]) -> None:
    """Raise InvalidInputError for an unknown output or an unsupported parameter."""
    if output.name not in known:
        raise InvalidInputError(
            f"there is no output '{output.name[:100]}'; known: {', '.join(known)}"
        )
    for parameter in UNKNOWN:
        if parameter in (output.parameters or {}):
            raise InvalidInputError(f"output '{output.name}': there is no {parameter} here")
    v2_content.refuse_coded(output.parameters, f"output '{output.name}'")


def tensors(answers: Answers, asked: Mapping[str, bool]) -> tuple[list[OutputTensor], bytes]:
    """Return the requested tensors, and the bytes that follow the JSON text."""
    found: list[OutputTensor] = []
    parts: list[bytes] = []
    for name, binary in asked.items():
        if name == PROBABILITIES and answers.probabilities is None:
            continue  # a repeated request, first answered by a version without probabilities
        kind, shape, values = _content(answers, name)
        parameters: dict[str, Any] = {}
        if name == PROBABILITIES:
            parameters["classes"] = msgspec.json.encode(answers.labels).decode()
        if binary:
            parts.append(v2_binary.pack(kind, values))
            parameters["binary_data_size"] = len(parts[-1])
        data = None if binary else list(values)
        found.append(OutputTensor(name, shape, kind, parameters or None, data))
    return found, b"".join(parts)


def _content(answers: Answers, name: str) -> Content:
    count = len(answers.ids)
    if name == PREDICTION_ID:
        return Content("BYTES", [count], answers.ids)
    if name == PROBABILITIES:
        rows = answers.probabilities or []
        return Content("FP64", [count, len(answers.labels)], list(chain.from_iterable(rows)))
    kind = datatype(answers.classes)
    return Content(kind, [count], _texts(answers.values) if kind == "BYTES" else answers.values)


def _texts(values: Sequence[Label]) -> list[str]:
    return [
        value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    ]


def _flag(parameters: Mapping[str, Any] | None, name: str, *, default: bool) -> bool:
    value = (parameters or {}).get(name, default)
    if not isinstance(value, bool):
        raise InvalidInputError(f"the parameter {name} is true or false")
    return value
