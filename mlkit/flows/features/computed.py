"""Compute the columns of on-demand transformations that the rows of a request lack.

The function is that of training, on a data frame of the same types. It takes about a millisecond,
only for requests with such rows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from mlkit.errors import ConflictError, InvalidInputError, MlkitError
from mlkit.flows.features import on_demand
from mlkit.flows.features.looked_up import Rowlike
from mlkit.provenance import OnDemandUse
from mlkit.steps.features.view import OnDemand
from mlkit.steps.inputs import encode, schema_inference
from mlkit.steps.inputs.columns import ARROW_TYPES, Column, InputSchema

if TYPE_CHECKING:
    import pyarrow as pa


class Input(NamedTuple):
    """An input column of a transformation and its position in a row, None for the request time."""

    column: Column
    place: int | None


class Computed:
    """Computes the columns of the transformations, in the order of training."""

    def __init__(
        self,
        uses: Sequence[OnDemandUse],
        functions: Sequence[OnDemand],
        schema: InputSchema,
        places: Mapping[str, int],
        inputs: Sequence[Input],
    ) -> None:
        made = {name for use in uses for name in use.columns}
        columns = tuple(column for column in schema.columns if column.name in made)
        self._schema = schema_inference.relaxed(msgspec.structs.replace(schema, columns=columns))
        self._places = [places[column.name] for column in columns]
        self._functions = functions
        self._inputs = inputs

    def fill(self, table: Rowlike, now: datetime) -> None:
        """Compute the columns for the rows that lack some; values given by a row stay.

        Raises MlkitError with the line of ``features.py`` if a function fails: rows that satisfy
        the schema are not the client's fault.
        """
        rows = [row for row in table if any(row[place] is UNSET for place in self._places)]
        if not rows:
            return
        try:
            found = on_demand.extend(self._frame(rows, now), self._functions)
            columns = encode.columns_of_table(self._schema, found)
        except InvalidInputError as error:
            raise MlkitError(str(error)) from error
        for place, column in zip(self._places, columns, strict=True):
            for row, value in zip(rows, column, strict=True):
                if row[place] is UNSET:
                    row[place] = value

    def _frame(self, rows: Rowlike, now: datetime) -> "pa.Table":
        import pyarrow as pa  # the input of on-demand transformations

        columns = {}
        for column, place in self._inputs:
            values = [now if place is None else _value(row[place], column) for row in rows]
            columns[column.name] = pa.array(values, ARROW_TYPES[column.kind])
        return pa.table(columns)


def inputs(
    uses: Sequence[OnDemandUse], known: Sequence[Column], time: str | None, dataset: str
) -> list[Input]:
    """Return the row columns that the transformations need, without those that they compute.

    The time column of the dataset stands for the request time. Raises ConflictError for a column
    that a request does not have, such as the target.
    """
    places = {column.name: place for place, column in enumerate(known)}
    made: set[str] = set()
    found: dict[str, Input] = {}
    for use in uses:
        for name in use.inputs:
            if name in made:
                continue
            if name == time:
                found[name] = Input(Column(name=name, kind="datetime"), None)
            elif name in places:
                found[name] = Input(known[places[name]], places[name])
            else:
                raise ConflictError(
                    f"on-demand transformation '{use.name}' needs the column '{name}' of "
                    f"{dataset}, which a request does not have"
                )
        made |= set(use.columns)
    return list(found.values())


def _value(value: Any, column: Column) -> Any:
    """Convert a canonical value for Arrow."""
    if value is None or value is UNSET:
        return None
    return datetime.fromisoformat(value) if column.kind == "datetime" else value
