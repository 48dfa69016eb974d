"""The first row of a CSV file: column names, or values of a file without a header."""

import csv
import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from mlkit.errors import InvalidInputError

_MEASURE = re.compile(r"^[+-]?(\d+[.,]\d+([eE][+-]?\d+)?|\d+[eE][+-]\d+)$|^[+-]\d+$")
_MOMENT = re.compile(
    r"^\d{4}([-/.])\d\d?\1\d\d?([T ]\d\d?:.*)?$"
    r"|^\d\d?([-/. ])(\d\d?|[A-Za-z]{3})\3\d{4}( .*)?$"
)
_OF_ONE = re.compile(r"^[^@\s]+@[^@\s]+\.\w+$|^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
_DIGITS = re.compile(r"\d+([.,]\d+)?")
_WHOLE = re.compile(r"^\d+$")
_WORDS = frozenset({"true", "false", "nan", "null", "na", "n/a"})
_ANSWERS = frozenset({"yes", "no"})
_YEARS = range(1900, 2101)
_WAY_OUT = (
    "if the file has no header, say --no-header, or name its columns with --names a,b,c; "
    "if these are names, say --header"
)


def refuse_values(names: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> None:
    """Raise InvalidInputError if the first row of ``path`` looks like values, not names.

    That is a decimal number, a time, a boolean, an address, a text in the format of the values of
    its column (a price, an id), or integers that neither count the columns nor are years. ``rows``
    are some of the following rows.
    """
    texts = [name.strip() for name in names]
    below = [_below(rows, place) for place in range(len(texts))]
    for place, text in enumerate(texts):
        if _is_value(text) or _is_like(text, below[place]):
            raise _no_name(path, place + 1, text)
    places = [place for place, text in enumerate(texts) if _WHOLE.match(text)]
    numbers = [int(texts[place]) for place in places if len(texts[place]) < 10]
    if places and not _counted(numbers, len(places)):
        raise _no_name(path, places[0] + 1, texts[places[0]])
    for place in places if len(places) < len(texts) or len(texts) == 1 else ():
        if _goes_on(int(texts[place]), below[place]):
            raise _no_name(path, place + 1, texts[place])


def _is_value(text: str) -> bool:
    patterns = (_MEASURE, _MOMENT, _OF_ONE)
    return text.lower() in _WORDS or any(pattern.match(text) for pattern in patterns)


def _below(rows: Sequence[Sequence[str]], place: int) -> list[str]:
    return [row[place].strip() for row in rows if len(row) > place and row[place].strip()]


def _is_like(text: str, values: Sequence[str]) -> bool:
    """Tell whether ``text`` has the format of all values of its column: $1.50 and $20, A-12."""
    if len(values) < 2 or _WHOLE.match(text):
        return False
    if text.lower() in _ANSWERS:
        return {value.lower() for value in values} <= _ANSWERS
    shape = _DIGITS.sub("0", text)
    return shape != text and all(_DIGITS.sub("0", value) == shape for value in values)


def _goes_on(number: int, values: Sequence[str]) -> bool:
    """Tell whether the values of a column continue the count of its name, as row ids do."""
    counted = [str(number + place) for place in range(1, len(values) + 1)]
    return len(values) > 1 and list(values) == counted


def _counted(numbers: Sequence[int], count: int) -> bool:
    """Tell whether integers are column names: counted from 0 or 1, or years."""
    if len(numbers) < count:
        return False
    if all(number in _YEARS for number in numbers):
        return len(set(numbers)) == count
    steps = {after - before for before, after in pairwise(numbers)}
    return numbers[0] in (0, 1) and steps <= {1}


def _no_name(path: Path, place: int, name: str) -> InvalidInputError:
    return InvalidInputError(
        f"the first row of {path} has {name.strip()!r} as the name of column {place}, which looks "
        f"like a value; {_WAY_OUT}"
    )


def among_values(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """Return the first name that is also a value of its column, or None."""
    for place, name in enumerate(names):
        if name.strip() and any(
            len(row) > place and row[place].strip() == name.strip() for row in rows
        ):
            return name.strip()
    return None


def named(count: int) -> list[str]:
    """Return names for the columns of a file without a header.

    >>> named(2)
    ['c1', 'c2']
    """
    return [f"c{number}" for number in range(1, count + 1)]


def given(stated: tuple[str, ...] | str | None, width: int, path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header; raises InvalidInputError."""
    names = listed(stated)
    if names and len(names) != width:
        raise InvalidInputError(f"{path} has {width} columns, and --names has {len(names)} names")
    return names or tuple(named(width))


def listed(names: tuple[str, ...] | str | None) -> tuple[str, ...]:
    """Return a list of names, which may be given as a CSV line.

    >>> listed('a, b,"c,d"')
    ('a', 'b', 'c,d')
    """
    if not isinstance(names, str):
        return names or ()
    return tuple(name.strip() for name in next(csv.reader([names], skipinitialspace=True), []))


def has(first: Sequence[str], known: Collection[str]) -> bool:
    """Tell whether the first row contains a known column."""
    return any(name.strip() in known for name in first)
