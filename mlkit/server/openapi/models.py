"""One model's rows, requests and answers as JSON Schema, each with an example that works."""

import csv
import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from mlkit.server.openapi.parts import Doc, ref, strict
from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.bounds import INPUT
from mlkit.steps.inputs.columns import Column, InputSchema, Kind
from mlkit.steps.inputs.values import INT64_MAX, INT64_MIN

_TYPES: Final[Mapping[Kind, Doc]] = {
    "number": {"type": "number", "format": "double", "minimum": -INPUT, "maximum": INPUT},
    "integer": {"type": "integer", "format": "int64", "minimum": INT64_MIN, "maximum": INT64_MAX},
    "boolean": {"type": "boolean"},
    "category": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}
_DATATYPES: Final[Mapping[Kind, str]] = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "category": "BYTES",
    "datetime": "BYTES",
}
_REQUEST_ID: Final[Doc] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 128,
    "description": "The same request with the same id gets the same answer and is logged once; "
    "another request with it is refused.",
}
_SAMPLES: Final[Mapping[Kind, object]] = {
    "number": 0.5,
    "integer": 1,
    "boolean": True,
    "category": "unknown",
    "datetime": "2026-01-01T00:00:00Z",
}


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is served; ``labels`` are its classes as JSON keys, ``example`` is one row.

    ``probabilities`` says whether its answers have one for each class.

    ``sources`` are the columns that a row may lack, each with where it then comes from, and
    ``keys`` the columns by which that is found and that are no inputs of the model.
    """

    name: str
    version: int
    schema: InputSchema
    labels: tuple[str, ...]
    example: dict[str, Any]
    probabilities: bool = True
    sources: Mapping[str, str] = MappingProxyType({})
    keys: tuple[Column, ...] = ()

    @property
    def required(self) -> list[str]:
        """The columns that every row must have."""
        return [name for name in self.schema.names if name not in self.sources]


def example(schema: InputSchema) -> dict[str, Any]:
    """Return a row that the model takes, made up column by column: nobody's row is shown."""
    return {column.name: _sample(column) for column in schema.columns}


def schemas(model: Described, max_rows: int) -> Doc:
    """Return the components of ``model``, named ``MODEL.Row`` and so on."""
    some = {"minItems": 1, "maxItems": max_rows}
    rows = {"type": "array", "items": ref(f"{model.name}.Row"), **some}
    lists = {"type": "array", "items": ref(f"{model.name}.List"), **some}
    plain = {
        "type": "array",
        "items": {"anyOf": [_value(model.schema), _probabilities(model)]}
        if model.labels and model.probabilities
        else _value(model.schema),
    }
    found = {
        "Row": _row(model),
        "List": _list(model.schema),
        "Request": _request(rows),
        "Answer": _answer(model),
        "Predictions": strict({"predictions": plain}),
        "Instances": _instances(model, {"anyOf": [rows, lists]}),
        "MlflowRequest": _mlflow(model, rows, lists, max_rows),
    }
    return {f"{model.name}.{name}": schema for name, schema in found.items()}


def native_examples(model: Described) -> Doc:
    """Return bodies of ``/predict/<model>``."""
    found: Doc = {"rows": {"rows": [model.example]}}
    if not model.keys:
        found["entities"] = {"rows": [model.example], "entity_ids": ["customer-1"]}
    if model.sources:
        found["features left out"] = {"rows": [_short_example(model)]}
    return found


def _short_example(model: Described) -> dict[str, Any]:
    """Return a row without what comes from feature views, but with whom it is about."""
    own = {name: model.example[name] for name in model.required}
    return own | {column.name: _sample(column) for column in model.keys}


def mlflow_examples(model: Described) -> Doc:
    """Return bodies of ``/invocations``, one for each form of JSON."""
    names, values = list(model.example), list(model.example.values())
    columns = {name: [value] for name, value in model.example.items()}
    return {
        "dataframe_split": {"dataframe_split": {"columns": names, "data": [values]}},
        "dataframe_records": {"dataframe_records": [model.example]},
        "instances": {"instances": [model.example]},
        "inputs": {"inputs": columns},
    }


def csv_example(model: Described) -> str:
    """Return a body of ``/invocations`` as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(model.example)
    writer.writerow(model.example.values())
    return text.getvalue()


def kserve_examples(model: Described) -> Doc:
    """Return bodies of ``/v1/models/<model>:predict``."""
    return {
        "objects": {"instances": [model.example]},
        "lists": {"instances": [list(model.example.values())]},
    }


def v2_examples(model: Described) -> Doc:
    """Return bodies of ``/v2/models/<model>/infer``: a tensor for each column."""
    return {
        "columns": {
            "inputs": [
                {
                    "name": column.name,
                    "shape": [1],
                    "datatype": _DATATYPES[column.kind],
                    "data": [model.example[column.name]],
                }
                for column in model.schema.columns
            ]
        }
    }


def _sample(column: Column) -> object:
    if column.categories:
        return column.categories[0]
    if column.minimum is not None and column.maximum is not None:
        return _middle(column, column.minimum, column.maximum)
    return _SAMPLES[column.kind]


def _middle(column: Column, low: float, high: float) -> float:
    """Return a short number in the middle of what was seen."""
    middle = low / 2 + high / 2
    if column.kind == "integer":
        return int(middle)
    shorter = (float(f"{middle:.{digits}g}") for digits in range(3, 17))
    return next((number for number in shorter if low <= number <= high), middle)


def _row(model: Described) -> Doc:
    short = "Columns of feature views may be left out" if model.sources else ""
    return {
        "type": "object",
        "description": f"{short or 'Every column must be there'}; others are ignored.",
        "properties": _columns(model),
        "required": model.required,
    }


def _columns(model: Described) -> Doc:
    found = {column.name: _column(column) for column in (*model.schema.columns, *model.keys)}
    for name, source in model.sources.items():
        said = found[name].get("description", "")
        found[name]["description"] = f"May be left out: then from {source}. {said}".strip()
    for column in model.keys:
        found[column.name]["description"] = "Whom the row is about: feature views look it up."
    return found


def _list(schema: InputSchema) -> Doc:
    width = len(schema.columns)
    return {
        "type": "array",
        "description": f"The values of a row in this order: {', '.join(schema.names)}.",
        "prefixItems": [_column(column) for column in schema.columns],
        "minItems": width,
        "maxItems": width,
    }


def _column(column: Column) -> Doc:
    kind = dict(_TYPES[column.kind])
    if column.nullable:
        kind["type"] = [kind["type"], "null"]
    text = _seen(column)
    return {**kind, "description": text} if text else kind


def _seen(column: Column) -> str:
    """Say what the model has learned from; other values are taken too."""
    if column.categories:
        more = ", ..." if len(column.categories) > 10 else ""
        return f"Known values: {', '.join(column.categories[:10])}{more}."
    if column.minimum is not None and column.maximum is not None:
        low, high = (f"{_short(edge):g}" for edge in (column.minimum, column.maximum))
        return f"Seen in training: about {low} to {high}."
    return ""


def _short(edge: float) -> float:
    """Return an edge to two digits: the largest income is somebody's."""
    return float(f"{edge:.2g}")


def _value(schema: InputSchema) -> Doc:
    if schema.task == "regression":
        return {"type": "number"}
    return {"enum": list[Label](schema.classes)}


def _probabilities(model: Described) -> Doc:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return strict(dict.fromkeys(model.labels, share))


def _request(rows: Doc) -> Doc:
    entity = {"type": ["string", "integer", "null"]}
    return strict(
        {
            "rows": rows,
            "entity_ids": {
                "type": ["array", "null"],
                "items": entity,
                "description": "Whom each row is about: as many as there are rows.",
            },
            "request_id": _REQUEST_ID,
        },
        required=["rows"],
    )


def _answer(model: Described) -> Doc:
    text: Doc = {"type": "string"}
    row = {"id": text, "value": _value(model.schema)}
    if model.labels and model.probabilities:
        row["probabilities"] = _probabilities(model)
    return strict(
        {
            "request_id": text,
            "model": {"const": model.name},
            "version": {"type": "integer", "minimum": 1},
            "role": text,
            "predictions": {"type": "array", "items": strict(row)},
        }
    )


def _instances(model: Described, rows: Doc) -> Doc:
    return strict({"instances": rows, "parameters": _params(model)}, required=["instances"])


def _mlflow(model: Described, rows: Doc, lists: Doc, max_rows: int) -> Doc:
    split = strict(
        {
            "columns": _split_columns(model),
            "data": {"type": "array", "items": {"type": "array"}} if model.sources else lists,
            "index": {"type": ["array", "null"], "description": "Ignored."},
        },
        required=["columns", "data"],
    )
    columns = {
        name: {"type": "array", "items": column, "minItems": 1, "maxItems": max_rows}
        for name, column in _columns(model).items()
    }
    by_column = {
        "type": "object",
        "description": "A list for each column, all of one length.",
        "properties": columns,
        "required": model.required,
    }
    forms: dict[str, Doc] = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": {"anyOf": [rows, lists]},
        "inputs": {"anyOf": [by_column, lists]},
    }
    params = _params(model)
    return {
        "oneOf": [
            strict({name: form, "params": params}, required=[name]) for name, form in forms.items()
        ]
    }


def _split_columns(model: Described) -> Doc:
    if not model.sources:
        return {"const": list(model.schema.names), "description": "In any order."}
    known = [*model.schema.names, *(column.name for column in model.keys)]
    return {"type": "array", "items": {"enum": known}, "uniqueItems": True}


def _params(model: Described) -> Doc:
    some = model.schema.task == "classification" and model.probabilities
    asked: Doc = {"type": "boolean"} if some else {"const": False}
    fields = {"probabilities": asked, "request_id": _REQUEST_ID}
    return {"anyOf": [strict(fields, required=[]), {"type": "null"}]}
