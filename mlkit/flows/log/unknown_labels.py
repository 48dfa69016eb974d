"""Actuals whose label a version does not know: a typo upstream, or a new class.

They stay in the log; evaluation and training leave them out.
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
    """The rows whose actual is a class of the version, and the counts of the other labels."""

    known: pa.Table
    unknown: dict[str, int]


def part(schema: InputSchema, rows: pa.Table) -> Parted:
    """Separate the rows with a known class from the unknown labels; ``rows`` have actuals."""
    if schema.task == "regression":
        return Parted(rows, {})
    labels = prediction_columns.actuals(schema, rows["_actual"].to_pylist())
    texts = labels.column(0).to_pylist()
    unknown = count(schema, texts)
    if not unknown:
        return Parted(rows, {})
    return Parted(rows.filter(pa.array(np.array([text not in unknown for text in texts]))), unknown)


def count(schema: InputSchema, labels: list[str]) -> dict[str, int]:
    """Count those of ``labels`` (as text) that are no class, most frequent first.

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
