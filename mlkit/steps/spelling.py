"""Named warnings about how values are written: what a spreadsheet or another country did to them.

Each is ``(name, text)`` with column and row; ``quality`` collects them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps import casts

Warned = Iterator[tuple[str, str]]

_PLAIN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_MARKED = r"^\s*[+-]?(\d+,\d+|\d{1,3}([., '\x{a0}\x{202f}]\d{3})+([.,]\d+)?|\d+\.?\d*|\.\d+)\s*$"
_SHORTENED = r"^[+-]?\d(\.\d+)?E\+\d{2,3}$"
_FORMULA = r"^([=@\t\r]|[+-][^\d.,\s+-])"
_ISO_TIME = r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:?\d\d"
_ZONE = r"([zZ]|[+-]\d\d(:?\d\d)?)\s*$"
_LONG_NUMBER, _DIGITS_LEFT = 1e11, 6  # Excel shows 12 digits and more as 1.23457E+11
_USUAL_YEARS = (1900, 2200)
_FOLD_MONTHS = (4, 10, 11)  # when clocks are set back, south and north
_HOUR_US = 3_600_000_000
_AT_ONCE = 1 << 20  # rows


def of_text(name: str, column: Any) -> Warned:
    """Yield what is odd about how the values of a text column are written."""
    values = _Counted(column)
    if values.all(_MARKED) and not values.all(_PLAIN):
        row, value = _first(column, _PLAIN, matching=False)
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
        count = values.count(pattern)
        if count:
            row, value = _first(column, pattern)
            yield warning, f"{name!r} has {count} values that {what}, first {value!r} in row {row}"
    last = column[-1].as_py()
    if last is not None and last.endswith("\n"):
        yield (
            "open_quote",
            f"{name!r} has the last {last.count(chr(10))} lines of the file as one value in row "
            f"{len(column)}; is a quote left open?",
        )
    yield from _of_zones(name, column, values)


def of_zones(name: str, column: Any) -> Warned:
    """Yield whether some of the times in a text column have a zone and others have none."""
    yield from _of_zones(name, column, _Counted(column))


def _of_zones(name: str, column: Any, values: "_Counted") -> Warned:
    zoned = values.count(_ZONE) if values.all(_ISO_TIME) else 0
    if 0 < zoned < values.rows:
        row, value = _first(column, _ZONE, matching=False)
        yield (
            "mixed_time_zones",
            f"{name!r} has {zoned} times with a zone and {values.rows - zoned} without, first "
            f"{value!r} in row {row}; those without are taken as UTC",
        )


def of_number(name: str, column: Any) -> Warned:
    """Yield whether long whole numbers have lost their last digits."""
    edges = pc.min_max(column).as_py().values()
    if not any(edge is not None and abs(edge) >= _LONG_NUMBER for edge in edges):
        return
    values = column.to_numpy()
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        long = size >= _LONG_NUMBER
        if not (np.isnan(values) | (np.floor(values) == values)).all():
            return
    rows = np.flatnonzero(long)
    unit = 10.0 ** (np.floor(np.log10(size[rows])) + 1 - _DIGITS_LEFT)
    rows = rows[np.mod(size[rows], unit) == 0]
    if len(rows):
        yield (
            "shortened_number",
            f"{name!r} has {len(rows)} whole numbers of which only the first {_DIGITS_LEFT} digits "
            f"are not 0, first {values[rows[0]]:.0f} in row {rows[0] + 1}; if they are ids, a "
            "spreadsheet has shortened them",
        )


def of_time(name: str, column: Any) -> Warned:
    """Yield whether a column of times has placeholders such as 9999-12-31."""
    edges = pc.min_max(column).as_py().values()
    if all(edge is None or _USUAL_YEARS[0] <= edge.year < _USUAL_YEARS[1] for edge in edges):
        return
    years = pc.year(column)
    odd = pc.or_(pc.less(years, _USUAL_YEARS[0]), pc.greater_equal(years, _USUAL_YEARS[1]))
    rows = pc.indices_nonzero(pc.fill_null(odd, fill_value=False))
    if len(rows):
        row = rows[0].as_py()
        yield (
            "odd_time",
            f"{name!r} has {len(rows)} times before {_USUAL_YEARS[0]} or from {_USUAL_YEARS[1]} "
            f"on, first {column[row].as_py():%Y-%m-%d} in row {row + 1}; if nobody knows them, "
            "leave them empty",
        )


def of_fold(name: str, column: Any) -> Warned:
    """Yield whether the rows step back only where clocks are set back: then they are local times.

    Such an hour happens twice, and a time without a zone does not say which one it was.
    """
    first = None
    for start in range(0, len(column) - 1, _AT_ONCE):
        part = column.slice(start, _AT_ONCE + 1)
        moments = part.cast(casts.INTEGER).to_numpy()
        back = np.flatnonzero(np.diff(moments) < 0)
        if len(back) and not _where_clocks_are_set_back(moments[back], moments[back + 1]):
            return
        if len(back) and first is None:
            first = start + back[0] + 2
    if first is not None:
        yield (
            "local_time",
            f"{name!r} steps back by an hour or less only where clocks are set back, first in row "
            f"{first}; these are local times: write them with their zone (+02:00)",
        )


def _where_clocks_are_set_back(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether all steps back are of an hour at most, in the night of a Sunday in season."""
    at = pa.array(before).cast(casts.TIME)
    sunday = np.array(pc.day_of_week(at)) == 6
    night = np.array(pc.hour(at)) <= 3
    season = np.isin(np.array(pc.month(at)), _FOLD_MONTHS)
    return bool((sunday & night & season & (before - after <= _HOUR_US)).all())


class _Counted:
    """The different values of a text column and how often each is there: less to look through."""

    def __init__(self, column: Any) -> None:
        found = pc.value_counts(column)
        present = pc.is_valid(found.field("values"))
        self._values = found.field("values").filter(present)
        self._counts = found.field("counts").filter(present)
        self.rows = pc.sum(self._counts).as_py() or 0

    def all(self, pattern: str) -> bool:
        """Tell whether there are values and all of them match."""
        matching = pc.match_substring_regex(self._values, pattern)
        return self.rows > 0 and bool(pc.all(matching).as_py())

    def count(self, pattern: str) -> int:
        """Return how many rows match."""
        matching = pc.match_substring_regex(self._values, pattern)
        return pc.sum(self._counts.filter(matching)).as_py() or 0


def _first(column: Any, pattern: str, *, matching: bool = True) -> tuple[int, str]:
    """Return the first row, from 1, whose value does or does not match, and its value."""
    found = pc.match_substring_regex(column, pattern)
    found = found if matching else pc.invert(found)
    row = pc.indices_nonzero(pc.fill_null(found, fill_value=False))[0].as_py()
    return row + 1, column[row].as_py()[:40]
