"""Apply on-demand transformations: the same function for datasets and for requests."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlkit.errors import InvalidInputError
from mlkit.flows.features.declarations import FILE
from mlkit.steps.features.view import OnDemand

if TYPE_CHECKING:
    import pyarrow as pa


def extend(
    table: "pa.Table",
    transformations: Sequence[OnDemand],
    added: dict[str, list[str]] | None = None,
) -> "pa.Table":
    """Return the rows with the columns of each transformation, applied in order.

    A later one may use columns of an earlier one. ``added`` is filled with the names of the columns
    by transformation. Raises InvalidInputError for an input that is missing or a column that is
    there already.
    """
    from mlkit.steps.features import output  # imports pyarrow and pandas, not always needed

    for made in transformations:
        for name in made.inputs:
            if name not in table.column_names:
                raise InvalidInputError(
                    f"{made} needs the column '{name}', which the rows do not have"
                )
        given = table.select(list(made.inputs))
        result = output.guarded(made, FILE, lambda: made(output.frame(given)))  # noqa: B023  # called at once
        columns = output.added(result, given, made)
        for name in columns.column_names:
            if name in table.column_names:
                raise InvalidInputError(
                    f"{made} returned the column '{name}', which is there already; return new "
                    "columns only"
                )
            table = table.append_column(name, columns.column(name))
        if added is not None:
            added[made.name] = columns.column_names
    return table
