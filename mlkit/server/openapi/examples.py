"""Example request bodies, made up column by column so that no real row is disclosed."""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from mlkit.server.openapi.models import Described
from mlkit.server.openapi.parts import Doc
from mlkit.server.protocols.v2_messages import InferTensor, Request
from mlkit.server.protocols.v2_metadata import DATATYPES
from mlkit.steps.inputs.columns import Column, InputSchema, Kind

_SAMPLES: Final[Mapping[Kind, object]] = {
    "number": 0.5,
    "integer": 1,
    "boolean": True,
    "category": "unknown",
    "datetime": "2026-01-01T00:00:00Z",
}


def row(schema: InputSchema) -> dict[str, Any]:
    """Return a row that the model accepts."""
    return {column.name: _sample(column) for column in schema.columns}


def native(model: Described) -> Doc:
    """Return example bodies of ``/predict/<model>``."""
    found: Doc = {"rows": {"rows": [model.example]}}
    if not model.keys:
        found["entities"] = {"rows": [model.example], "entity_ids": ["customer-1"]}
    if model.sources:
        found["features left out"] = {"rows": [_short_row(model)]}
    return found


def _short_row(model: Described) -> dict[str, Any]:
    """Return a row without the columns of feature views, but with their keys."""
    own = {name: model.example[name] for name in model.required}
    return own | {column.name: _sample(column) for column in model.keys}


def mlflow(model: Described) -> Doc:
    """Return example bodies of ``/invocations``, one for each form of JSON."""
    names, values = list(model.example), list(model.example.values())
    columns = {name: [value] for name, value in model.example.items()}
    return {
        "dataframe_split": {"dataframe_split": {"columns": names, "data": [values]}},
        "dataframe_records": {"dataframe_records": [model.example]},
        "instances": {"instances": [model.example]},
        "inputs": {"inputs": columns},
    }


def csv_text(model: Described) -> str:
    """Return an example body of ``/invocations`` as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(model.example)
    writer.writerow(model.example.values())
    return text.getvalue()


def kserve(model: Described) -> Doc:
    """Return example bodies of ``/v1/models/<model>:predict``."""
    return {
        "objects": {"instances": [model.example]},
        "lists": {"instances": [list(model.example.values())]},
    }


def v2(model: Described) -> Doc:
    """Return an example body of ``/v2/models/<model>/infer``: a tensor for each column."""
    tensors = [
        InferTensor(column.name, [1], DATATYPES[column.kind], data=[model.example[column.name]])
        for column in model.schema.columns
    ]
    return {"columns": Request(tensors)}


def _sample(column: Column) -> object:
    if column.categories:
        return column.categories[0]
    if column.minimum is not None and column.maximum is not None:
        return _middle(column, column.minimum, column.maximum)
    return _SAMPLES[column.kind]


def _middle(column: Column, low: float, high: float) -> float:
    """Return a number with few digits near the middle of the training range."""
    middle = low / 2 + high / 2
    if column.kind == "integer":
        return int(middle)
    shorter = (float(f"{middle:.{digits}g}") for digits in range(3, 17))
    return next((number for number in shorter if low <= number <= high), middle)
