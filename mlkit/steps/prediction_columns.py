"""A model's answers, and what really was, as columns, so that they can drift like any input."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from mlkit.steps.answers import Label
from mlkit.steps.columns import InputSchema

VALUE = "prediction(value)"
ACTUAL = "actual(value)"


def table(
    schema: InputSchema,
    values: Sequence[Any],
    probabilities: Sequence[Sequence[float] | None] | None,
) -> pa.Table:
    """Return the answers: the number, or the label and of two classes the second's probability.

    ``probabilities`` are None for a row, or for all of them, if the model gave none.
    """
    if schema.task == "regression":
        return pa.table({VALUE: pa.array(values, pa.float64())})
    columns = {VALUE: pa.array(map(_text, values), pa.string())}
    if len(schema.classes) == 2 and probabilities is not None:
        second = [None if row is None else float(row[1]) for row in probabilities]
        columns[_probability(schema)] = pa.array(second, pa.float64())
    return pa.table(columns)


def names(schema: InputSchema) -> set[str]:
    """Return the names of all columns that are made here: no input may have one of them."""
    return {VALUE, ACTUAL} | ({_probability(schema)} if len(schema.classes) == 2 else set())


def actuals(schema: InputSchema, values: Sequence[Any]) -> pa.Table:
    """Return what really was: the number or the label."""
    if schema.task == "regression":
        return pa.table({ACTUAL: pa.array(values, pa.float64())})
    return pa.table({ACTUAL: pa.array(map(_text, values), pa.string())})


def _probability(schema: InputSchema) -> str:
    return f"probability({_text(schema.classes[1])})"


def _text(label: Label) -> str:
    return label if isinstance(label, str) else msgspec.json.encode(label).decode()
