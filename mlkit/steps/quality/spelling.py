"""Named warnings about the format of values: damage by spreadsheets, foreign number formats.

Each is ``(name, text)`` with column and row; ``table_warnings`` collects them.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes
from mlkit.steps.tables.counted import Counted, count
from mlkit.steps.tables.many_values import ManyValues
from mlkit.steps.tables.tabular import Column

Warned = Iterator[tuple[str, str]]

_PLAIN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_MARKED = r"^\s*[+-]?(\d+,\d+|\d{1,3}([., '\x{a0}\x{202f}]\d{3})+([.,]\d+)?|\d+\.?\d*|\.\d+)\s*$"
_SHORTENED = r"^[+-]?\d(\.\d+)?E\+\d{2,3}$"
_FORMULA = r"^([=@\t\r]|[+-][^\d.,\s+-])"
_ISO_TIME = r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:?\d\d"
_ZONE = r"([zZ]|[+-]\d\d(:?\d\d)?)\s*$"
LONG_NUMBER: Final = 1e11
_DIGITS_LEFT = 6  # Excel displays 12 or more digits as 1.23457E+11
_USUAL_YEARS = (1900, 2200)
_FOLD_MONTHS = (4, 10, 11)  # when clocks are set back, southern and northern hemisphere
_HOUR_US = 3_600_000_000


def of_text(column: Column, values: Counted | ManyValues) -> Warned:
    """Yield the warnings about the format of the ``values`` of a text column."""
    name = column.name
    if values.all(_MARKED) and not values.all(_PLAIN):
        row, value = first(column, _PLAIN, matching=False)
        yield (
            "number_as_text",
            f"{name!r} is text, for its numbers have decimal commas or grouped digits, first "
            f"{value!r} in row {row}; say so with --decimal or --thousands, or cast "
            "them if they come by a query",
        )
    for warning, pattern, what in (
        ("shortened_number", _SHORTENED, "a spreadsheet has shortened: digits are lost"),
        ("formula", _FORMULA, "a spreadsheet would run as formulas; kept as text"),
    ):
        times = values.count(pattern)
        if times:
            row, value = first(column, pattern)
            yield warning, f"{name!r} has {times} values that {what}, first {value!r} in row {row}"
    last = _last(column)
    if last is not None and last.endswith("\n"):
        yield (
            "open_quote",
            f"{name!r} has the last {last.count(chr(10))} lines of the file as one value in row "
            f"{len(column)}; is a quote left open?",
        )
    yield from _of_zones(column, values)


def _last(column: Column) -> str | None:
    """Return the value of the last row."""
    last = None
    for part in column:
        last = part[-1].as_py() if len(part) else last
    return last


def of_zones(column: Column) -> Warned:
    """Yield a warning if only some of the times in a text column have a zone."""
    yield from _of_zones(column, count(column))


def _of_zones(column: Column, values: Counted | ManyValues) -> Warned:
    zoned = values.count(_ZONE) if values.all(_ISO_TIME) else 0
    if 0 < zoned < values.rows:
        row, value = first(column, _ZONE, matching=False)
        yield (
            "mixed_time_zones",
            f"{column.name!r} has {zoned} times with a zone and {values.rows - zoned} without, "
            f"first {value!r} in row {row}; those without are taken as UTC",
        )


def of_number(column: Column) -> Warned:
    """Yield a warning if long integers have lost their last digits."""
    found = _OddRows()
    for part in column:
        rows = _shortened(part)
        if rows is None:
            return
        found.add(part, rows)
    if found.count:
        yield (
            "shortened_number",
            f"{column.name!r} has {found.count} whole numbers of which only the first "
            f"{_DIGITS_LEFT} digits are not 0, first {found.value:.0f} in row {found.row}; if they "
            "are ids, a spreadsheet has shortened them",
        )


def _shortened(part: pa.ChunkedArray) -> np.ndarray | None:
    """Return the mask of long numbers that end in many zeros, or None if one has a fraction."""
    values = part.to_numpy()
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        long = size >= LONG_NUMBER
        if not (np.isnan(values) | (np.floor(values) == values)).all():
            return None
    rows = np.flatnonzero(long)
    unit = 10.0 ** (np.floor(np.log10(size[rows])) + 1 - _DIGITS_LEFT)
    found: np.ndarray = rows[np.mod(size[rows], unit) == 0]
    return found


def of_time(column: Column) -> Warned:
    """Yield a warning if a column of times has placeholders such as 9999-12-31."""
    found = _OddRows()
    for part in column:
        found.add(part, _of_odd_years(part))
    if found.count:
        yield (
            "odd_time",
            f"{column.name!r} has {found.count} times before {_USUAL_YEARS[0]} or from "
            f"{_USUAL_YEARS[1]} on, first {found.value:%Y-%m-%d} in row {found.row}; if nobody "
            "knows them, leave them empty",
        )


def _of_odd_years(part: pa.ChunkedArray) -> np.ndarray:
    edges = pc.min_max(part).as_py().values()
    if all(edge is None or _USUAL_YEARS[0] <= edge.year < _USUAL_YEARS[1] for edge in edges):
        return np.empty(0, dtype=np.int64)
    years = pc.year(part)
    odd = pc.or_(pc.less(years, _USUAL_YEARS[0]), pc.greater_equal(years, _USUAL_YEARS[1]))
    return np.asarray(pc.indices_nonzero(pc.fill_null(odd, fill_value=False)))


class _OddRows:
    """The number of anomalous rows, and the first of them, from 1, with its value."""

    def __init__(self) -> None:
        self.count, self.row, self._behind = 0, 0, 0
        self.value: Any = None

    def add(self, part: pa.ChunkedArray, rows: np.ndarray) -> None:
        """Count the anomalous rows of the next part."""
        if len(rows) and not self.count:
            self.row = self._behind + int(rows[0]) + 1
            self.value = part[int(rows[0])].as_py()
        self.count += len(rows)
        self._behind += len(part)


def of_fold(column: Column) -> Warned:
    """Yield a warning if times step back only when clocks are set back: then they are local times.

    Such an hour occurs twice, and a time without a zone is ambiguous.
    """
    first = None
    start, last = 0, np.empty(0, dtype=np.int64)
    for part in column:
        moments = np.concatenate([last, part.cast(dtypes.INTEGER).to_numpy()])
        back = np.flatnonzero(np.diff(moments) < 0)
        if len(back) and not _where_clocks_are_set_back(moments[back], moments[back + 1]):
            return
        if len(back) and first is None:
            first = start - len(last) + back[0] + 2
        start, last = start + len(part), moments[-1:]
    if first is not None:
        yield (
            "local_time",
            f"{column.name!r} steps back by an hour or less only where clocks are set back, first "
            f"in row {first}; these are local times: write them with their zone (+02:00)",
        )


def _where_clocks_are_set_back(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether all steps back are of at most an hour, on a Sunday night in spring or autumn."""
    at = pa.array(before).cast(dtypes.DATETIME)
    sunday = np.array(pc.day_of_week(at)) == 6
    night = np.array(pc.hour(at)) <= 3
    season = np.isin(np.array(pc.month(at)), _FOLD_MONTHS)
    return bool((sunday & night & season & (before - after <= _HOUR_US)).all())


def first(column: Column, pattern: str, *, matching: bool = True) -> tuple[int, str]:
    """Return the first row, from 1, whose value does or does not match, and its value.

    Raises LookupError if there is none.
    """
    start = 0
    for part in column:
        found = pc.match_substring_regex(part, pattern)
        found = found if matching else pc.invert(found)
        row = pc.index(found, True).as_py()
        if row >= 0:
            return start + row + 1, part[row].as_py()[:40]
        start += len(part)
    raise LookupError(pattern)
