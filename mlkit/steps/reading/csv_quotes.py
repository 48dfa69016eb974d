"""Detect text columns of a CSV file by quotes around values that do not need them."""

import re
from functools import lru_cache

_GROUPED = re.compile(r"^\s*[+-]?\d[\d., ']*$")
_ENOUGH = 6_000  # cells; beyond, the values decide the type


def text_columns(sample: str, delimiter: str, width: int, *, header: bool) -> frozenset[int]:
    r"""Return the positions of the columns whose values are all quoted, if other columns are not.

    Quotes in a file that quotes everything carry no information, nor do required quotes: around a
    delimiter, a quote or a line break.

    >>> sorted(text_columns('a,b\n"1",1\n"2",2\n', ",", 2, header=True))
    [0]
    """
    if '"' not in sample:
        return frozenset()
    marked, bare = [False] * width, [False] * width
    for place, quoted, free in _cells(sample, delimiter, header=header):
        if place < width:
            marked[place] = marked[place] or quoted
            bare[place] = bare[place] or free
    if not any(bare):
        return frozenset()
    return frozenset(place for place in range(width) if marked[place] and not bare[place])


def _cells(sample: str, delimiter: str, *, header: bool) -> list[tuple[int, bool, bool]]:
    """Return the column of each cell, whether it is quoted without need, and whether unquoted."""
    cells: list[tuple[int, bool, bool]] = []
    at, place, row = 0, 0, 0
    cell = _cell(delimiter)
    while at < len(sample) and len(cells) < _ENOUGH:
        found = cell.match(sample, at)
        if found is None or found.end() == at:
            break
        quoted, free, end = found.group(1), found.group(2), found.group(3)
        if row or not header:
            cells.append((place, *_weighed(quoted, free, delimiter)))
        place = place + 1 if end == delimiter else 0
        row += end != delimiter
        at = found.end()
    return cells


def _weighed(quoted: str | None, free: str | None, delimiter: str) -> tuple[bool, bool]:
    """Return whether a cell is quoted without need, and whether it counts as unquoted."""
    if quoted is None:
        return False, bool(free)
    if delimiter in quoted and _GROUPED.match(quoted):
        return False, True  # 1,250: grouped digits must be quoted
    return not any(mark in quoted for mark in (delimiter, '"', "\n", "\r")), False


@lru_cache
def _cell(delimiter: str) -> "re.Pattern[str]":
    mark = re.escape(delimiter)
    return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^{mark}\r\n]*))({mark}|\r\n|\r|\n|$)')
