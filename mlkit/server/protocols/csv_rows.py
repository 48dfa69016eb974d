"""Decode a CSV body (RFC 4180, UTF-8, with a header line) by the rules of ``mlkit predict``."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from mlkit.errors import InvalidInputError
from mlkit.server import wire
from mlkit.server.problems import RefusedError
from mlkit.steps.inputs.columns import Column, Kind
from mlkit.steps.inputs.rows import CsvHabits, Reader, Rows
from mlkit.steps.reading import csv_ids
from mlkit.steps.reading.csv_values import MARKS

_GROUPED: Final = re.compile(r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*$", re.ASCII)
_NULLS: Final = frozenset(("", *MARKS))  # NA, null ... as in files, but not in text columns
_CELL: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|((?:[^",\r\n][^,\r\n]*)?))(,|\r\n|\r|\n|$)')
_PLAIN_START: Final = tuple("123456789.")
_BOOLEANS: Final = {
    "true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False
}  # fmt: skip


def read(reader: Reader, body: bytes, max_rows: int) -> Rows:
    """Return the rows of a CSV body.

    Raises RefusedError 400 for invalid CSV and 413 for too many rows, or InvalidInputError that
    names every invalid value.
    """
    lines = _lines(body, max_rows + 2)
    if not lines:
        raise RefusedError(400, "the body is empty; send a header line and a line for each row")
    wire.refuse_many(len(lines) - 1, max_rows)
    known = {column.name: column for column in reader.known}
    names = [name if name in known else (name or "").strip() for name in lines[0]]
    kinds = {name: _Cell.of(known[name], reader.csv) for name in known.keys() & set(names)}
    cells = [
        kinds.get(name, _IGNORED) for name in names
    ]  # a body may name a column a million times
    if reader.csv.thousands == ".":
        _refuse_grouped(names, cells, lines[1:])
    return reader.lists(names, [_values(cells, line) for line in lines[1:]])


def _lines(body: bytes, most: int) -> list[list[str | None]]:
    """Return the cells of the first ``most`` lines, header included and blank lines skipped.

    An empty cell without quotes is None.
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
    """Return the cells of all lines where ``""`` (an empty text) must differ from an empty cell.

    The module ``csv`` does not distinguish them. Raises csv.Error.
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


class _Cell(NamedTuple):
    """How the texts of one column are converted."""

    convert: Callable[[str], object] = str
    nulls: frozenset[str] = frozenset()

    @classmethod
    def of(cls, column: Column, habits: CsvHabits) -> "_Cell":
        """Return the conversion of a column; a known label is never read as missing."""
        if column.kind == "category":
            return cls(str, habits.missing - set(column.categories))
        return cls(_CONVERTERS[column.kind], _NULLS | habits.missing)

    def value(self, text: str | None) -> object:
        """Return the converted value; a text that cannot be converted stays text.

        The reader then refuses it, naming row and column.
        """
        if text is None or text in self.nulls:
            return None
        try:
            return self.convert(text)
        except ValueError:
            return text


_IGNORED: Final = _Cell()


def _values(cells: Sequence[_Cell], line: Sequence[str | None]) -> Sequence[object]:
    if len(line) != len(cells):
        return line  # the reader refuses it
    return [cell.value(text) for cell, text in zip(cells, line, strict=True)]


def _refuse_grouped(
    names: Sequence[str], cells: Sequence[_Cell], lines: Sequence[Sequence[str | None]]
) -> None:
    """Raise InvalidInputError for ``26.950`` where the dataset's files write 26950 like this."""
    for place, name in enumerate(names):
        if cells[place].convert not in (_number, _integer):
            continue
        texts = [line[place] or "" for line in lines if len(line) > place]
        dotted = [text for text in texts if "." in text]
        if dotted and all(_GROUPED.match(text) for text in dotted):
            raise InvalidInputError(
                f"column '{name}' has '{dotted[0]}', which is a number with a decimal point or one "
                "with grouped digits, as the files of this dataset have it; send it without the "
                "point, with another number of decimals, or as JSON"
            )


def _number(text: str) -> float:
    if "_" in text or (text[:1] not in _PLAIN_START and csv_ids.is_led(text)):
        raise ValueError(text)  # float() would accept 1_000; 007 is an id, not a number
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
