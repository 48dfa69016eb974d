"""Actuals whose label a version does not know: a typo upstream, or something new in the world.

They are kept in the log, and left out of what is measured and learned until a person has looked.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.columns import InputSchema

_SHOWN = 3


class Parted(NamedTuple):
    """The rows whose actual is a class of the version, and how often each other label occurs."""

    known: pa.Table
    unknown: dict[str, int]


def part(schema: InputSchema, rows: pa.Table) -> Parted:
    """Return the rows that can be judged, and the labels of the others; ``rows`` have actuals."""
    if schema.task == "regression":
        return Parted(rows, {})
    labels = prediction_columns.actuals(schema, rows["_actual"].to_pylist())
    texts = labels.column(0).to_pylist()
    unknown = count(schema, texts)
    if not unknown:
        return Parted(rows, {})
    return Parted(rows.filter(pa.array(np.array([text not in unknown for text in texts]))), unknown)


def count(schema: InputSchema, labels: list[str]) -> dict[str, int]:
    """Return how often each of ``labels`` (as text) occurs that is no class, most frequent first.

    >>> schema = InputSchema(columns=(), target="y", task="classification", classes=("no", "yes"))
    >>> count(schema, ["yes", "maybe", "Yes", "maybe"])
    {'maybe': 2, 'Yes': 1}
    """
    classes = set(prediction_columns.actuals(schema, schema.classes).column(0).to_pylist())
    return dict(Counter(label for label in labels if label not in classes).most_common())


def warning(unknown: Mapping[str, int]) -> str:
    """Return one line that names the labels, the most frequent first.

    >>> warning({"maybe": 2, "Yes": 1})
    "unknown_labels: 3 actuals have a label that the model does not know ('maybe' 2, 'Yes' 1)"
    """
    named = ", ".join(f"'{label}' {count}" for label, count in [*unknown.items()][:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more labels" if len(unknown) > _SHOWN else ""
    total = sum(unknown.values())
    have = "actual has a label" if total == 1 else "actuals have a label"
    return f"unknown_labels: {total} {have} that the model does not know ({named}{more})"
