"""The input schema of a model: its columns in order, stored as validated JSON.

Without data and estimator; ``encode`` converts values to the matrix of estimators.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
import pyarrow as pa

from mlkit.steps.tables import dtypes

Kind = Literal["number", "integer", "boolean", "category", "datetime"]
Task = Literal["classification", "regression"]

KINDS: Final[Mapping[pa.DataType, Kind]] = {
    dtypes.NUMBER: "number",
    dtypes.INTEGER: "integer",
    dtypes.BOOLEAN: "boolean",
    dtypes.TEXT: "category",
    dtypes.DATETIME: "datetime",
}
ARROW_TYPES: Final[Mapping[Kind, pa.DataType]] = {kind: dtype for dtype, kind in KINDS.items()}


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One input column; ``categories`` are the known values of a category, most frequent first."""

    name: str
    kind: Kind
    nullable: bool = False
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class InputSchema(msgspec.Struct, frozen=True, kw_only=True):
    """The ordered input columns and the target of a model version."""

    columns: tuple[Column, ...]
    target: str
    task: Task
    classes: tuple[str | int | float | bool, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in the order of every stored feature array."""
        return tuple(column.name for column in self.columns)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes as JSON keys: text unchanged, anything else in its JSON form."""
        return tuple(
            label if isinstance(label, str) else msgspec.json.encode(label).decode()
            for label in self.classes
        )
