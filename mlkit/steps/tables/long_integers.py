"""Detect integers of a query that would lose digits in the type of their column."""

from collections.abc import Sequence
from typing import Any, Final

from mlkit.errors import InvalidInputError

_EXACT: Final = 2**53  # beyond it doubles skip integers


class LongIntegers:
    """Checks the values of a query, chunk by chunk; ``label`` is its name in errors."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._rows: dict[str, int] = {}
        self._with_fractions: set[str] = set()

    def refuse(self, name: str, values: Sequence[Any], first_row: int) -> None:
        """Raise InvalidInputError with column and row if an integer would change its value.

        That is one beyond 64 bits, or beyond 2^53 in a column that has fractions as well.
        """
        found = (row for row, v in enumerate(values) if isinstance(v, int) and abs(v) > _EXACT)
        row = next(found, None)
        if row is not None:
            self._rows.setdefault(name, first_row + row + 1)
        for later in () if row is None else (row, *found):
            if not -(2**63) <= values[later] < 2**63:
                raise self._too_long(name, first_row + later + 1)
        if any(isinstance(value, float) for value in values):
            self._with_fractions.add(name)
        if name in self._rows and name in self._with_fractions:
            raise self._too_long(name, self._rows[name])

    def _too_long(self, name: str, row: int) -> InvalidInputError:
        return InvalidInputError(
            f"{self._label}: column {name!r} has an integer in row {row} that would lose digits "
            "as a number; select it as text, or as a double if its digits do not matter (CAST)"
        )
