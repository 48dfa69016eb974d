"""From the texts of a CSV column to values of one type.

Which type that is, ``csv_types`` finds out. Empty cells that are not quoted are null already.
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
    """Values of one type, and how often which mark stood for a missing one."""

    column: Any
    marks: Counter[str]


def convert(texts: Any, kind: pa.DataType, dialect: Dialect) -> Values | None:
    """Return the values of type ``kind`` that ``texts`` stand for, None if one stands for none.

    Blanks around a number, truth value or time do not count, and ``MARKS`` are missing there. In
    text nothing is missing but what the dialect calls so.
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
    """Return ``texts`` without blanks around them, null for what is missing among no texts."""
    return _cleaned(texts, dialect)[0]


def with_points(texts: Any, dialect: Dialect) -> Any:
    """Return ``texts`` with the numbers among them as everybody writes them.

    What would be a number in another dialect alone says so, for no reader is to take it for one.
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
    """Return how often which of ``marks`` is among ``texts``."""
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
    """Return numbers as Arrow reads them, None if one is not written as the dialect says."""
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
    """Return the number that one text stands for; raises ValueError.

    >>> number("26.950,5", decimal=",", thousands=".")
    26950.5
    """
    plain = decimal == "." and not thousands
    pattern = _pattern(whole=False, decimal_point=decimal, thousands=thousands)
    if not plain and not re.match(pattern, text, re.ASCII):
        raise ValueError(text)
    if "_" in text:  # Python alone would read 1_000 as a number
        raise ValueError(text)
    return float(text.replace(thousands or "", "").replace(decimal, "."))


def first_foreign(texts: Any, dialect: Dialect) -> int:
    """Return the first place of ``texts`` that is no number as the dialect writes them, or -1."""
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
    """Return what Arrow makes of ``texts``, None if it cannot."""
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
    """Return ``texts`` without blanks around them and without marks, and which marks there were."""
    trimmed = pc.utf8_trim_whitespace(texts)
    marks = (*MARKS, *dialect.missing)
    found = count(trimmed, marks)
    found.pop("", None)
    return without(trimmed, (*marks, "")), found


def _has_nan(column: Any) -> bool:
    return column.type == dtypes.NUMBER and bool(pc.any(pc.is_nan(column)).as_py())
