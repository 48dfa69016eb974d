"""Convert the texts of a CSV column to values of one type.

The type is inferred in ``csv_types``. Unquoted empty cells are already null.
"""

import re
from collections import Counter
from functools import lru_cache
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.reading.csv_dialect import Dialect
from mlkit.steps.tables import casts, dtypes

MARKS: Final = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A",
    "NA", "NULL", "NaN", "n/a", "nan", "null",
)  # fmt: skip  # what other programs write among numbers, truth values and times for "missing"
_NUMERIC: Final = (dtypes.INTEGER, dtypes.NUMBER)
_CLOCKS: Final = (("us", None), ("us", "UTC"), ("ns", None), ("ns", "UTC"))
_GROUPED: Final = r"^\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*$"


class Values(NamedTuple):
    """Values of one type, and the counts of the markers of missing values."""

    column: Any
    marks: Counter[str]


def convert(texts: Any, kind: pa.DataType, dialect: Dialect) -> Values | None:
    """Convert ``texts`` to values of type ``kind``; None if one of them is not of that type.

    Numbers, booleans and times are stripped, and ``MARKS`` are missing there. In text only the
    markers of the dialect are missing.
    """
    if kind == dtypes.TEXT:
        return Values(without(texts, dialect.missing), Counter())
    if kind not in _NUMERIC or dialect.plain:
        column = _direct(texts, kind)
        if column is not None and not _has_nan(column):
            return Values(column, Counter())
    cleaned, marks = _cleaned(texts, dialect)
    if kind in _NUMERIC:
        cleaned = as_written_here(cleaned, kind, dialect)
    column = None if cleaned is None else _direct(cleaned, kind)
    return None if column is None else Values(casts.canonical(column, "values"), marks)


def without(texts: Any, marks: tuple[str, ...]) -> Any:
    """Return ``texts`` with nulls in place of ``marks``."""
    if not marks:
        return texts
    found = pc.is_in(texts, value_set=pa.array(marks))
    return pc.if_else(found, pa.scalar(None, dtypes.TEXT), texts)


def unmarked(texts: Any, dialect: Dialect) -> Any:
    """Return ``texts`` stripped, null for markers of missing values of any type but text."""
    return _cleaned(texts, dialect)[0]


def with_points(texts: Any, dialect: Dialect) -> Any:
    """Return ``texts`` with numbers normalised to a decimal point without grouping.

    A text that is a number only in another dialect is marked, so that no reader parses it.
    """
    if dialect.plain:
        return texts
    point, thousands = dialect.decimal_point, dialect.thousands
    here = _pattern(whole=False, decimal_point=point, thousands=thousands)
    elsewhere = _pattern(whole=False, decimal_point=".", thousands=None)
    own = pc.match_substring_regex(texts, here)
    foreign = pc.match_substring_regex(texts, elsewhere)
    told = pc.binary_join_element_wise(texts, f" (decimal mark is {point!r})", "")
    return pc.if_else(own, _respelled(texts, dialect), pc.if_else(foreign, told, texts))


def count(texts: Any, marks: tuple[str, ...] = MARKS) -> Counter[str]:
    """Count the occurrences of each of ``marks`` in ``texts``."""
    found = texts.filter(pc.is_in(texts, value_set=pa.array(marks)))
    return Counter(found.to_pylist()) if len(found) else Counter()


def looks_grouped(texts: Any) -> bool:
    """Tell whether every point in ``texts`` groups digits by three, as in 26.950 and 1.200.000.

    >>> looks_grouped(pa.chunked_array([["26.950", "99"]])), looks_grouped(
    ...     pa.chunked_array([["26.95", "1.200"]]))
    (True, False)
    """
    dotted = texts.filter(pc.match_substring(texts, "."))
    return len(dotted) > 0 and bool(pc.all(pc.match_substring_regex(dotted, _GROUPED)).as_py())


def as_written_here(texts: Any, kind: pa.DataType, dialect: Dialect) -> Any | None:
    """Return numbers in Arrow's format, None if one is not in the format of the dialect."""
    if dialect.plain:
        return pc.replace_substring_regex(texts, r"^\+([\d.iI])", r"\1")
    pattern = _pattern(
        whole=kind == dtypes.INTEGER,
        decimal_point=dialect.decimal_point,
        thousands=dialect.thousands,
    )
    if pc.all(pc.match_substring_regex(texts, pattern)).as_py() is False:
        return None
    return _respelled(texts, dialect)


def _respelled(texts: Any, dialect: Dialect) -> Any:
    digits = texts if not dialect.thousands else pc.replace_substring(texts, dialect.thousands, "")
    return pc.replace_substring_regex(
        pc.replace_substring(digits, dialect.decimal_point, "."), r"^\+", ""
    )


def number(text: str, *, decimal: str, thousands: str | None) -> float:
    """Parse one text as a number; raises ValueError.

    >>> number("26.950,5", decimal=",", thousands=".")
    26950.5
    """
    plain = decimal == "." and not thousands
    pattern = _pattern(whole=False, decimal_point=decimal, thousands=thousands)
    if not plain and not re.match(pattern, text, re.ASCII):
        raise ValueError(text)
    if "_" in text:  # float() would accept 1_000
        raise ValueError(text)
    return float(text.replace(thousands or "", "").replace(decimal, "."))


def first_foreign(texts: Any, dialect: Dialect) -> int:
    """Return the first index of ``texts`` that is no number in the dialect, or -1."""
    point, thousands = dialect.decimal_point, dialect.thousands
    pattern = _pattern(whole=False, decimal_point=point, thousands=thousands)
    found: int = pc.index(pc.match_substring_regex(texts, pattern), False).as_py()
    return found


@lru_cache
def _pattern(*, whole: bool, decimal_point: str, thousands: str | None) -> str:
    point = re.escape(decimal_point)
    digits = r"\d+" if not thousands else rf"(\d{{1,3}}({re.escape(thousands)}\d{{3}})+|\d+)"
    if whole:
        return rf"^\s*[+-]?{digits}\s*$"
    finite = rf"({digits}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    return rf"^\s*[+-]?({finite}|(?i:inf(inity)?))\s*$"


def _direct(texts: Any, kind: pa.DataType) -> Any | None:
    """Convert ``texts`` by Arrow's own cast, None if it fails."""
    if kind == dtypes.DATETIME:
        return _moments(texts)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return None


def _moments(texts: Any) -> Any | None:
    for unit, zone in _CLOCKS:
        try:
            return casts.canonical(texts.cast(pa.timestamp(unit, zone)), "times")
        except pa.ArrowInvalid:
            continue
    return None


def _cleaned(texts: Any, dialect: Dialect) -> tuple[Any, Counter[str]]:
    """Return ``texts`` stripped and without missing-value markers, and the counts of these."""
    trimmed = pc.utf8_trim_whitespace(texts)
    marks = (*MARKS, *dialect.missing)
    found = count(trimmed, marks)
    found.pop("", None)
    return without(trimmed, (*marks, "")), found


def _has_nan(column: Any) -> bool:
    return column.type == dtypes.NUMBER and bool(pc.any(pc.is_nan(column)).as_py())
