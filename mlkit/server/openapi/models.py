"""JSON Schemas of one model's rows, requests and answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from mlkit.server.openapi.parts import Doc, ref, shape, strict
from mlkit.server.protocols import instances, kserve, mlflow
from mlkit.steps.inputs import row_messages
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


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A served model; ``labels`` are its classes as JSON keys, ``example`` is one row.

    ``probabilities`` tells whether its answers have class probabilities. ``sources`` are the
    columns that a row may omit, with the feature view that then provides each; ``keys`` are the
    columns by which it is looked up and that are not inputs of the model.
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
        """The columns that no row may omit."""
        return [name for name in self.schema.names if name not in self.sources]


def schemas(model: Described, max_rows: int) -> Doc:
    """Return the component schemas of ``model``, named ``MODEL.Row`` and so on."""
    some = {"type": "array", "minItems": 1, "maxItems": max_rows}
    rows = {**some, "items": ref(f"{model.name}.Row")}
    lists = {**some, "items": ref(f"{model.name}.List")}
    either = {"anyOf": [rows, lists]}
    params = _params(model)
    found = {
        "Row": _row(model),
        "List": _list(model.schema),
        "Request": shape(row_messages.Request, rows=rows),
        "Answer": _answer(model),
        "Predictions": _predictions(model),
        "Instances": shape(kserve.Request, instances=either, parameters=params),
        "MlflowRequest": shape(
            mlflow.Request,
            dataframe_split=_split(model, lists),
            dataframe_records=rows,
            instances=either,
            inputs={"anyOf": [_by_column(model, some), lists]},
            params=params,
        )
        | {"oneOf": [{"required": [form]} for form in mlflow.FORMS]},
    }
    return {f"{model.name}.{name}": schema for name, schema in found.items()}


def _row(model: Described) -> Doc:
    views, every = "Columns of feature views may be left out", "Every column must be there"
    return {
        "type": "object",
        "description": f"{views if model.sources else every}; others are ignored.",
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
    """Describe the values of the training data; others are accepted too."""
    if column.categories:
        more = ", ..." if len(column.categories) > 10 else ""
        return f"Known values: {', '.join(column.categories[:10])}{more}."
    if column.minimum is not None and column.maximum is not None:
        low, high = (f"{_short(edge):g}" for edge in (column.minimum, column.maximum))
        return f"Seen in training: about {low} to {high}."
    return ""


def _short(edge: float) -> float:
    """Round a limit to two digits: an exact maximum would disclose one person's value."""
    return float(f"{edge:.2g}")


def _value(schema: InputSchema) -> Doc:
    if schema.task == "regression":
        return {"type": "number"}
    return {"enum": list[Label](schema.classes)}


def _probabilities(model: Described) -> Doc | None:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    known = model.labels and model.probabilities
    return strict(dict.fromkeys(model.labels, share)) if known else None


def _answer(model: Described) -> Doc:
    shown = {"value": _value(model.schema), "probabilities": _probabilities(model)}
    row = shape(row_messages.Row, **shown)
    row["required"] = list(row["properties"])
    predictions = {"type": "array", "items": row}
    return shape(row_messages.Answer, model={"const": model.name}, predictions=predictions)


def _predictions(model: Described) -> Doc:
    value, shares = _value(model.schema), _probabilities(model)
    items = {"anyOf": [value, shares]} if shares else value
    return shape(instances.Predictions, predictions={"type": "array", "items": items})


def _split(model: Described, lists: Doc) -> Doc:
    if not model.sources:
        columns: Doc = {"const": list(model.schema.names), "description": "In any order."}
        return shape(mlflow.Split, columns=columns, data=lists)
    known = [*model.schema.names, *(column.name for column in model.keys)]
    columns = {"type": "array", "items": {"enum": known}, "uniqueItems": True}
    return shape(mlflow.Split, columns=columns)


def _by_column(model: Described, some: Doc) -> Doc:
    return {
        "type": "object",
        "description": "A list for each column, all of one length.",
        "properties": {name: {**some, "items": each} for name, each in _columns(model).items()},
        "required": model.required,
    }


def _params(model: Described) -> Doc:
    some = model.schema.task == "classification" and model.probabilities
    asked: Doc = {"type": "boolean"} if some else {"const": False}
    return {"anyOf": [shape(instances.Params, probabilities=asked), {"type": "null"}]}
