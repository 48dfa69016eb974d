"""A CSV body (RFC 4180, UTF-8, with a header line) to rows, by the rules of ``mlkit predict``."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from pyarrow.csv import ConvertOptions

from mlkit.server import wire
from mlkit.server.problems import RefusedError
from mlkit.steps.columns import Kind
from mlkit.steps.rows import Reader, Rows

_NULLS: Final = frozenset(ConvertOptions().null_values)  # "", "NA", "null" ...: as in files
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
    names = [name if name in kinds else name.strip() for name in lines[0]]
    converters = [_CONVERTERS[kinds[name]] if name in kinds else str for name in names]
    return reader.lists(names, [_values(converters, line) for line in lines[1:]])


def _lines(body: bytes, most: int) -> list[list[str]]:
    """Return the lines that are not empty, the header's among them; ``most`` are enough."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"the body is not valid CSV: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return list(islice(filter(None, reader), most))
    except csv.Error as error:
        raise RefusedError(
            400, f"the body is not valid CSV: line {reader.line_num}: {error}"
        ) from error


def _values(converters: Sequence[Callable[[str], object]], line: Sequence[str]) -> Sequence[object]:
    if len(line) != len(converters):
        return line  # the reader names it
    return [_value(*pair) for pair in zip(converters, line, strict=True)]


def _value(convert: Callable[[str], object], text: str) -> object:
    """Return the value that ``text`` stands for; one that stands for none stays text.

    The reader then refuses it with row and column.
    """
    if text in _NULLS:
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
