"""Infer the type of each CSV column, block by block.

It is the first type of an ordered list of types that all values of the column have.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.reading import csv_values
from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.reading.csv_ids import Digits
from mlkit.steps.reading.csv_values import Values
from mlkit.steps.reading.errors import OtherTypeError
from mlkit.steps.tables import dtypes

LADDER: Final = (dtypes.INTEGER, dtypes.BOOLEAN, dtypes.DATETIME, dtypes.NUMBER)
_Looked = tuple[Any, pa.DataType | None, Values | None]
_NOTHING: Final = (None, None, None)
_PROBED: Final = 64
_NUMERIC: Final = (dtypes.INTEGER, dtypes.NUMBER)
_EXACT: Final = 2**53  # beyond it a double is several integers


class ColumnType:
    """The type of one column inferred so far; ``wanted`` is the type required by the rules.

    A column that is text by the rules, or by its quotes (``text``), is always text; ``unquoted`` is
    the type that it would have without quotes.
    """

    def __init__(
        self, dialect: Dialect, wanted: pa.DataType | None = None, *, text: bool = False
    ) -> None:
        self._dialect = dialect
        self.wanted = wanted
        self._rungs = [] if text or wanted == dtypes.TEXT else list(LADDER)
        self._settled = not self._rungs
        self._seen = False
        self._filled = False
        self._beyond = False
        self.digits = Digits()
        self.marks: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.dots: bool | None = None
        self.unquoted = ColumnType(dialect) if text and wanted is None else None
        self._last: _Looked = _NOTHING

    @property
    def kind(self) -> pa.DataType:
        """The common type of all values so far; null without any."""
        if self._settled:
            return dtypes.TEXT
        if not self._seen:
            return dtypes.TEXT if self._filled else pa.null()
        text = self._is_id or self._is_word or self._is_long
        return dtypes.TEXT if text else self._rungs[0]

    @property
    def _is_word(self) -> bool:
        """Whether the values are true and false although the rules require numbers."""
        return self._rungs[0] == dtypes.BOOLEAN and self.wanted in _NUMERIC

    @property
    def _is_long(self) -> bool:
        """Whether the rules demand whole numbers, and these would lose digits as numbers.

        One like 5.0 among them makes the column one of numbers; from texts each is cast exactly.
        """
        return self._beyond and (self.wanted, self._rungs[0]) == (dtypes.INTEGER, dtypes.NUMBER)

    @property
    def _is_id(self) -> bool:
        return self._rungs[0] in _NUMERIC and self.digits.of_id is not None

    def narrow(self, texts: Any, *, every: bool) -> None:
        """Narrow the type by the next block; test ``every`` type, or up to the first that fits."""
        if self._settled or texts.null_count == len(texts):
            return
        self._filled = True
        left: list[pa.DataType] = []
        rungs = self._likely(texts)
        for place, kind in enumerate(rungs):
            found = csv_values.convert(texts, kind, self._dialect)
            if found is None:
                continue
            if not left:
                self._note(found, texts, kind)
                self._last = texts, kind, found
            left.append(kind)
            if not every:
                left += rungs[place + 1 :]
                break
        self._rungs = left
        self._settled = not left or self.digits.led is not None

    def _likely(self, texts: Any) -> list[pa.DataType]:
        """Return the types that fit the first values: a failing cast of a whole block is slow."""
        first = texts.slice(0, _PROBED)
        if len(self._rungs) < 2 or len(first) == len(texts):
            return self._rungs
        return [k for k in self._rungs if csv_values.convert(first, k, self._dialect) is not None]

    def _note(self, found: Values, texts: Any, kind: pa.DataType) -> None:
        nothing = found.column.null_count == len(texts)
        self._seen = self._seen or not nothing or "nan" in {mark.lower() for mark in found.marks}
        if kind == dtypes.NUMBER and not nothing:
            finite = found.column.filter(pc.is_finite(found.column))
            low, high = pc.min_max(finite).as_py().values()
            self._beyond = self._beyond or (len(finite) > 0 and max(-low, high) > _EXACT)
        if kind in _NUMERIC and not nothing:
            self.digits.add(texts, whole=kind == dtypes.INTEGER)

    def values(self, texts: Any) -> Any:
        """Return the values of a block in the inferred type; raises OtherTypeError."""
        kind = self.kind
        if pa.types.is_null(kind):
            return pa.chunked_array([pa.nulls(len(texts), dtypes.NUMBER)])
        found = self._converted(texts, kind)
        if found is None:
            raise OtherTypeError("a value is not of the type of those before it")
        if kind == dtypes.TEXT:
            return self._text(found.column)
        self.marks.update(found.marks)
        if kind == dtypes.NUMBER and self._dialect.delimiter == ";" and self._dialect.plain:
            self.dots = self.dots is not False and csv_values.looks_grouped(texts)
        return found.column

    def _converted(self, texts: Any, kind: pa.DataType) -> Values | None:
        """Return the values of a block, cached for the last one."""
        (last, of_kind, found), self._last = self._last, _NOTHING
        if last is texts and of_kind == kind:
            return found
        return csv_values.convert(texts, kind, self._dialect)

    def _text(self, column: Any) -> Any:
        if self.wanted is None:
            self.kept.update(csv_values.count(column))
            if self.unquoted is not None:
                self.unquoted.narrow(column, every=True)
        elif self.wanted != dtypes.TEXT:  # the other values are refused, not these
            left = csv_values.unmarked(column, self._dialect)
            return csv_values.with_points(left, self._dialect) if self.wanted in _NUMERIC else left
        return column

    def next_values(self, texts: Any) -> Any:
        """Return the values of the next block; raises OtherTypeError if it changes the type."""
        before = self.kind
        self.narrow(texts, every=False)
        if self.kind != before:
            raise OtherTypeError("a value is not of the type of those before it")
        return self.values(texts)


class TableTypes:
    """The types of all columns of a CSV file."""

    def __init__(
        self,
        dialect: Dialect,
        wanted: Mapping[str, pa.DataType],
        texts: Collection[str] = (),
    ) -> None:
        self.columns = {
            name: ColumnType(dialect, wanted.get(name), text=name in texts and name not in wanted)
            for name in dialect.names
        }

    def survey(self, blocks: Iterable[pa.Table]) -> None:
        """Infer the types from all rows."""
        for block in blocks:
            for name, column in self.columns.items():
                column.narrow(block.column(name), every=True)

    def typed(self, blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the rows in the inferred types."""
        for block in blocks:
            yield pa.table({n: c.values(block.column(n)) for n, c in self.columns.items()})

    def found(self, blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the rows in the types of the first block; raises OtherTypeError if they change."""
        for number, block in enumerate(blocks):
            texts = {name: block.column(name) for name in self.columns}
            if number == 0:
                for name, column in self.columns.items():
                    column.narrow(texts[name], every=False)
                yield pa.table({n: c.values(texts[n]) for n, c in self.columns.items()})
                continue
            yield pa.table({n: c.next_values(texts[n]) for n, c in self.columns.items()})
