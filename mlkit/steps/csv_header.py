"""The first row of a CSV file: names of columns, or values of a file that has no header."""

import csv
import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from mlkit.errors import InvalidInputError

_MEASURE = re.compile(r"^[+-]?(\d+[.,]\d+([eE][+-]?\d+)?|\d+[eE][+-]\d+)$|^[+-]\d+$")
_MOMENT = re.compile(r"^\d{4}-\d\d?-\d\d?([T ]\d\d?:.*)?$|^\d\d?[./]\d\d?[./]\d{4}( .*)?$")
_WHOLE = re.compile(r"^\d+$")
_WORDS = frozenset({"true", "false", "nan", "null", "na", "n/a"})
_YEARS = range(1900, 2101)
_WAY_OUT = (
    "if the file has no header, say --no-header, or name its columns with --names a,b,c; "
    "if these are names, say --header"
)


def refuse_values(names: Sequence[str], path: Path) -> None:
    """Raise InvalidInputError if the first row of ``path`` holds what no column is called.

    That is a measured number, a time, true or false, or whole numbers that neither count the
    columns nor are years.
    """
    for place, name in enumerate(names, start=1):
        text = name.strip()
        if _MEASURE.match(text) or _MOMENT.match(text) or text.lower() in _WORDS:
            raise _no_name(path, place, name)
    whole = [name.strip() for name in names if _WHOLE.match(name.strip())]
    if whole and not _counted([int(text) for text in whole if len(text) < 10], len(whole)):
        place = [name.strip() for name in names].index(whole[0]) + 1
        raise _no_name(path, place, names[place - 1])


def _counted(numbers: Sequence[int], count: int) -> bool:
    """Tell whether whole numbers are the names of columns: counted from 0 or 1, or years."""
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
    """Return the first name that is also a value of its column, None without."""
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


def given(names: tuple[str, ...], width: int, path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header; raises InvalidInputError."""
    if names and len(names) != width:
        raise InvalidInputError(f"{path} has {width} columns, and --names has {len(names)} names")
    return names or tuple(named(width))


def listed(text: str) -> tuple[str, ...]:
    """Return the names in a line of CSV.

    >>> listed('a, b,"c,d"')
    ('a', 'b', 'c,d')
    """
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))


def has(first: Sequence[str], known: Collection[str]) -> bool:
    """Tell whether the first row names a column that is known."""
    return any(name.strip() in known for name in first)
