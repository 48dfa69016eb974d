"""Convert rows of requests to canonical values, checked against an input schema.

Compiled once per model version: a valid body costs one typed decode without checks of single
values. Only an invalid body is read again, value by value, to report all problems.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import encode
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.values import INT64_MAX, INT64_MIN

Rows = list[tuple[object, ...]]

_PLAIN: Final = frozenset({"number", "integer", "boolean"})  # numpy converts these to float
_TYPES: Final[Mapping[str, Any]] = {
    "number": float,
    "integer": Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    "boolean": bool,
    "category": str,
    "datetime": str,
}
_NO_FIELD: Final = re.compile(r'["\\\x00-\x1f]')
_tuple = msgspec.structs.astuple


class CsvHabits(NamedTuple):
    """CSV options for rows in a CSV request, taken from the files of the dataset."""

    missing: frozenset[str] = frozenset()
    thousands: str | None = None


class Reader:
    """Read rows for one schema, as objects, lists or columns.

    Columns named in ``optional`` may be left out of a row, which has ``UNSET`` in their place.
    ``keys`` are further columns that a row may have; they follow those of the schema. ``known`` is
    both. ``by_name`` says whether the fields of ``row_type`` have the column names, as JSON
    decoding requires; a struct field cannot have a quote or a backslash in its name. Texts may have
    ``max_chars`` characters; None is no limit.
    """

    def __init__(
        self,
        schema: InputSchema,
        *,
        optional: Collection[str] = (),
        keys: tuple[Column, ...] = (),
        max_chars: int | None = None,
    ) -> None:
        self.schema = schema
        self.csv = CsvHabits()
        self.names = schema.names
        self.known = (*schema.columns, *keys)
        self._all = msgspec.structs.replace(schema, columns=self.known)
        self._optional = frozenset(optional) | {column.name for column in keys}
        self._open = [p for p, c in enumerate(self.known) if c.name in self._optional]
        self.by_name = not any(_NO_FIELD.search(column.name) for column in self.known)
        self._max_chars = max_chars
        annotations = [_annotation(column, max_chars) for column in self.known]
        self.row_type = _row_type(self.known, annotations, self._optional, by_name=self.by_name)
        self.numeric = not self._open and all(
            c.kind == "number" and not c.nullable for c in schema.columns
        )
        self.plain = all(column.kind in _PLAIN for column in schema.columns)
        self._texts = [p for p, c in enumerate(self.known) if c.kind not in _PLAIN]
        moments = [column for column in schema.columns if column.kind == "datetime"]
        self._moments = msgspec.structs.replace(schema, columns=tuple(moments))
        self._moment_places = [schema.columns.index(column) for column in moments]

    def objects(self, rows: Sequence[Mapping[str, object]]) -> Rows:
        """Return rows given as objects; unknown columns are ignored.

        Raises InvalidInputError whose ``details["problems"]`` names every bad value.
        """
        columns = encode.columns_of_rows(
            self._all, rows, optional=self._optional, max_chars=self._max_chars
        )
        return _transposed(columns)

    def lists(self, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Rows:
        """Return rows given as lists under ``names``; raises InvalidInputError."""
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise InvalidInputError(f"the column '{twice[:100]}' is there twice")
        for place, row in enumerate(rows):
            if len(row) != len(names):
                raise InvalidInputError(
                    f"row {place} has {len(row)} values for {len(names)} columns"
                )
        return self.objects([dict(zip(names, row, strict=True)) for row in rows])

    def columns(self, columns: Mapping[str, Sequence[object]]) -> Rows:
        """Return rows given column by column; raises InvalidInputError."""
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidInputError(f"the columns have different lengths: {_shown(lengths)}")
        return self.lists(list(columns), list(zip(*columns.values(), strict=True)))

    def typed(self, rows: Sequence[msgspec.Struct]) -> Rows:
        """Return rows that were decoded as ``row_type``; raises InvalidInputError for bad times."""
        return self.settled(list(map(_tuple, rows)))

    def settled(self, rows: Rows) -> Rows:
        """Return rows of the right types with every time in its canonical form."""
        return self._with_moments(rows) if rows and self._moment_places else rows

    def colons(self, rows: Rows) -> int:
        """Return the number of colons in the JSON of ``rows`` without duplicate keys."""
        total = len(rows) * len(self.known)
        for place in self._open:
            total -= sum(row[place] is UNSET for row in rows)
        for place in self._texts:
            total += sum(str(row[place]).count(":") for row in rows)
        return total

    def matrix(self, rows: Rows) -> np.ndarray:
        """Return the matrix that estimators see: float64 of shape (rows, width)."""
        if self.plain:
            return np.array(rows, dtype=float)  # None becomes NaN
        return encode.matrix(self.schema, list(zip(*rows, strict=True)))

    def _with_moments(self, rows: Rows) -> Rows:
        columns: list[Sequence[object]] = list(zip(*rows, strict=True))
        places = self._moment_places
        named = list(zip(self._moments.names, places, strict=True))
        texts = [{name: row[at] for name, at in named if row[at] is not UNSET} for row in rows]
        read = encode.columns_of_rows(self._moments, texts, optional=self._optional)
        for at, values in zip(places, read, strict=True):
            columns[at] = values
        return _transposed(columns)


def _row_type(
    columns: Sequence[Column],
    annotations: Sequence[Any],
    optional: Collection[str],
    *,
    by_name: bool,
) -> type[msgspec.Struct]:
    """Return a struct type whose decoder accepts only values that the columns accept."""
    fields: list[Any] = [
        (f"c{place}", annotation | msgspec.UnsetType, UNSET)
        if column.name in optional
        else (f"c{place}", annotation)
        for place, (column, annotation) in enumerate(zip(columns, annotations, strict=True))
    ]
    names = {f"c{place}": column.name for place, column in enumerate(columns)} if by_name else {}
    return msgspec.defstruct(
        "Row", fields, rename=names, frozen=True, gc=False, kw_only=bool(optional)
    )


def _annotation(column: Column, max_chars: int | None) -> Any:
    kind = _TYPES[column.kind]
    if kind is str and max_chars is not None:
        kind = Annotated[str, msgspec.Meta(max_length=max_chars)]
    return kind | None if column.nullable else kind


def _transposed(columns: Sequence[Sequence[object]]) -> Rows:
    return list(zip(*columns, strict=True))


def _shown(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name[:40]} {length}" for name, length in list(lengths.items())[:5])
