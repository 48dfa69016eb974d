"""Unify the column types of rows that come in parts: files of a folder, chunks of a query."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps.tables import dtypes


class Agreement:
    """The common types of all parts so far; integers mixed with numbers become numbers."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[pa.DataType | None, str]] = {}

    @property
    def names(self) -> list[str]:
        """The columns of the first part."""
        return list(self._found)

    @property
    def types(self) -> dict[str, pa.DataType]:
        """The type of each column; a column without values has numbers."""
        return {name: kind or dtypes.NUMBER for name, (kind, _) in self._found.items()}

    def add(self, kinds: Mapping[str, pa.DataType | None], part: str) -> None:
        """Add the types of one part, None for a column without values.

        Raises InvalidInputError with the two parts that do not agree.
        """
        for name, kind in kinds.items():
            known, where = self._found.setdefault(name, (kind, part))
            if kind is None or kind == known:
                continue
            if known is None:
                self._found[name] = (kind, part)
            elif {known, kind} == {dtypes.INTEGER, dtypes.NUMBER}:
                self._found[name] = (dtypes.NUMBER, part)
            else:
                raise InvalidInputError(
                    f"column {name!r} is {dtypes.NAMES[known]} in {where} and {dtypes.NAMES[kind]} "
                    f"in {part}; make them one type"
                )


def agreed(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the columns of ``types``, cast to these."""
    return pa.table({name: _as(table.column(name), kind) for name, kind in types.items()})


def _as(column: Any, kind: pa.DataType) -> Any:
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    return column if column.type == kind else column.cast(kind, safe=False)
