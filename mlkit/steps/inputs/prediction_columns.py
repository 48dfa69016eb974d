"""Predictions and actuals as table columns, so that their drift is tested like that of inputs."""

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.columns import InputSchema

VALUE = "prediction(value)"
ACTUAL = "actual(value)"


def table(schema: InputSchema, values: Any, probabilities: Any | None) -> pa.Table:
    """Return the columns: the number, or the label and, for two classes, the second's probability.

    Both are Arrow columns or sequences; ``probabilities`` has a list or null per row, or is None if
    the model gives none.
    """
    columns = {VALUE: _values(schema, values)}
    if len(schema.classes) == 2 and probabilities is not None:
        lists = _arrow(probabilities, pa.list_(pa.float64()))
        columns[_probability(schema)] = pc.list_element(lists, 1)
    return pa.table(columns)


def names(schema: InputSchema) -> set[str]:
    """Return the names of all columns made here, which inputs must not have."""
    return {VALUE, ACTUAL} | ({_probability(schema)} if len(schema.classes) == 2 else set())


def actuals(schema: InputSchema, values: Any) -> pa.Table:
    """Return the column of actuals, given as Arrow column or sequence: numbers or labels."""
    return pa.table({ACTUAL: _values(schema, values)})


def _probability(schema: InputSchema) -> str:
    return f"probability({_text(schema.classes[1])})"


def _values(schema: InputSchema, values: Any) -> Any:
    """Return numbers, or labels as text (there are few distinct ones)."""
    if schema.task == "regression":
        return _arrow(values, pa.float64())
    labels = _arrow(values)
    if pa.types.is_null(labels.type):  # all null
        return labels.cast(pa.string())
    encoded = labels.dictionary_encode().unify_dictionaries().combine_chunks()
    known = [None if label is None else _text(label) for label in encoded.dictionary.to_pylist()]
    return pa.array(known, pa.string()).take(encoded.indices)


def _arrow(values: Any, kind: Any = None) -> Any:
    if isinstance(values, pa.ChunkedArray):
        return values if kind is None else values.cast(kind)
    return pa.chunked_array([pa.array(values, kind)])


def _text(label: Label) -> str:
    return label if isinstance(label, str) else msgspec.json.encode(label).decode()
