"""A model's answers, and what really was, as columns, so that they can drift like any input."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.steps.answers import Label, Predictions
from mlkit.steps.columns import InputSchema

VALUE = "prediction(value)"
ACTUAL = "actual(value)"


def table(schema: InputSchema, answers: Predictions) -> pa.Table:
    """Return the answers: the number, or the label and of two classes the second's probability."""
    if schema.task == "regression":
        return pa.table({VALUE: pa.array(answers.values, pa.float64())})
    columns = {VALUE: pa.array(map(_text, answers.values), pa.string())}
    if len(schema.classes) == 2:
        name = f"probability({_text(schema.classes[1])})"
        columns[name] = pa.array(_second(answers), pa.float64())
    return pa.table(columns)


def actuals(schema: InputSchema, values: Sequence[Any]) -> pa.Table:
    """Return what really was: the number or the label."""
    if schema.task == "regression":
        return pa.table({ACTUAL: pa.array(values, pa.float64())})
    return pa.table({ACTUAL: pa.array(map(_text, values), pa.string())})


def _second(answers: Predictions) -> np.ndarray:
    """Return the probability of the second class, NaN where the model gave none."""
    if answers.probabilities is None:
        return np.full(len(answers.values), np.nan)
    second: np.ndarray = answers.probabilities[:, 1]
    return second


def _text(label: Label) -> str:
    return label if isinstance(label, str) else msgspec.json.encode(label).decode()
