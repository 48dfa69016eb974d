"""A CSV body (RFC 4180, UTF-8, with a header line) to rows, by the rules of ``mlkit predict``."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from mlkit.server import wire
from mlkit.server.problems import RefusedError
from mlkit.steps.columns import Kind
from mlkit.steps.csv_values import MARKS
from mlkit.steps.rows import Reader, Rows

_NULLS: Final = frozenset(("", *MARKS))  # NA, null ... as in files: not where texts are
_CELL: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|((?:[^",\r\n][^,\r\n]*)?))(,|\r\n|\r|\n|$)')
_BOOLEANS: Final = {
    "true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False
}  # fmt: skip


def read(reader: Reader, body: bytes, max_rows: int) -> Rows:
    """Return the rows of a CSV body.

    Raises RefusedError 400 if it is no CSV and 413 if it has too many rows, or InvalidInputError
    that names every bad value.
    """
    lines = _lines(body, max_rows + 2)
    if not lines:
        raise RefusedError(400, "the body is empty; send a header line and a line for each row")
    wire.refuse_many(len(lines) - 1, max_rows)
    kinds = {column.name: column.kind for column in reader.known}
    names = [name if name in kinds else (name or "").strip() for name in lines[0]]
    converters = [_CONVERTERS[kinds[name]] if name in kinds else str for name in names]
    return reader.lists(names, [_values(converters, line) for line in lines[1:]])


def _lines(body: bytes, most: int) -> list[list[str | None]]:
    """Return the cells of each line that has any, None for an empty one without quotes.

    The header is one of the lines; of more than ``most`` lines only those are returned.
    """
    try:
        text = body.decode("utf-8-sig")
        return _cells(text)[:most] if '""' in text else _plain_cells(text, most)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(400, f"the body is not valid CSV: {error}") from error


def _plain_cells(text: str, most: int) -> list[list[str | None]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [[cell or None for cell in row] for row in islice(filter(None, reader), most)]
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error


def _cells(text: str) -> list[list[str | None]]:
    """Return the same where some cells may be quoted and empty, which ``csv`` does not tell.

    Raises csv.Error.
    """
    rows: list[list[str | None]] = [[]]
    at = 0
    while at < len(text):
        found = _CELL.match(text, at)
        if found is None:
            raise csv.Error(f"line {len(rows)}: a quote is out of place")
        quoted, free, end = found.groups()
        rows[-1].append(quoted.replace('""', '"') if quoted is not None else free or None)
        at = found.end()
        if end == "," and at == len(text):
            rows[-1].append(None)
        elif end != ",":
            rows.append([])
    return [row for row in rows if row and row != [None]]


def _values(
    converters: Sequence[Callable[[str], object]], line: Sequence[str | None]
) -> Sequence[object]:
    if len(line) != len(converters):
        return line  # the reader names it
    return [_value(*pair) for pair in zip(converters, line, strict=True)]


def _value(convert: Callable[[str], object], text: str | None) -> object:
    """Return the value that ``text`` stands for; one that stands for none stays text.

    The reader then refuses it with row and column.
    """
    if text is None or (text in _NULLS and convert is not str):
        return None
    try:
        return convert(text)
    except ValueError:
        return text


def _number(text: str) -> float:
    if "_" in text:  # Python alone would read 1_000 as a number
        raise ValueError(text)
    return float(text)


def _integer(text: str) -> int | float:
    number = _number(text)
    return int(text) if text.strip(" +-").isdigit() else number


def _boolean(text: str) -> object:
    return _BOOLEANS.get(text.strip().lower(), text)


_CONVERTERS: Final[Mapping[Kind, Callable[[str], object]]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "category": str,
    "datetime": str.strip,
}
