"""The dialect of a CSV file: encoding, compression, delimiter, decimal mark, column names.

It is detected from the first megabyte; the rows are read in ``frames``.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from mlkit.errors import InvalidInputError
from mlkit.provenance import Stated
from mlkit.steps.reading import csv_bytes, csv_header, csv_quotes

MOST_COLUMNS = 20_000
_SAMPLE_ROWS = 100
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (  # the longer one first: UTF-16's mark is a prefix of UTF-32's
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8"),
)
_NOT_CSV = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"BZh", "compressed by bzip2; decompress it, or use gzip or zstd"),
    (b"\xfd7zXZ", "compressed by xz; decompress it, or use gzip or zstd"),
    (b"SQLite format 3", "a SQLite database; export the table as CSV"),
    (b"{", "JSON; convert it to CSV or Parquet"),
    (b"[{", "JSON; convert it to CSV or Parquet"),
)
_SPELLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_DECIMAL_POINT = re.compile(r"^[+-]?\d+\.\d+$")


@dataclass(frozen=True)
class Dialect:
    """How to read one CSV file; ``header`` is the first row as written.

    Without a header row (``has_header``), it has the names given to the columns. ``missing`` are
    the markers of missing values, in text columns too; ``quoted`` the columns that are text because
    they are quoted.
    """

    header: tuple[str, ...]
    delimiter: str = ","
    decimal_point: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    compression: str | None = None
    has_header: bool = True
    missing: tuple[str, ...] = ()
    quoted: frozenset[str] = frozenset()
    repeated_name: str | None = None

    @property
    def plain(self) -> bool:
        """Whether numbers have a decimal point and no thousands separator."""
        return self.decimal_point == "." and not self.thousands

    @property
    def names(self) -> list[str]:
        """The column names, stripped."""
        return [name.strip() for name in self.header]


def checked(said: Stated) -> Stated:
    r"""Validate and normalise the stated options of a CSV file; raises InvalidInputError.

    >>> said = checked(Stated(delimiter="tab", encoding="latin1"))
    >>> said.delimiter, said.encoding
    ('\t', 'iso8859-1')
    """
    spelled = (_SPELLED.get(mark or "", mark) for mark in (said.delimiter, said.thousands))
    (delimiter, thousands), decimal = spelled, said.decimal
    for name, mark in (("delimiter", delimiter), ("decimal", decimal), ("thousands", thousands)):
        if mark is not None and (len(mark) != 1 or mark.isalnum() or mark in '"\r\n+-'):
            raise InvalidInputError(f"'{mark}' cannot be the {name} mark; give one character")
    if delimiter is not None and not delimiter.isascii():
        raise InvalidInputError(f"'{delimiter}' cannot be the delimiter mark; it is not ASCII")
    if thousands is not None and thousands == (decimal or "."):
        if decimal is not None:
            raise InvalidInputError(f"'{decimal}' cannot be both the decimal and thousands mark")
        decimal = ","
    names = csv_header.listed(said.names) or None
    if names and said.header:
        raise InvalidInputError("--names are for a file without a header; leave --header out")
    return structs.replace(
        said,
        delimiter=delimiter,
        encoding=None if said.encoding is None else _codec(said.encoding),
        decimal=decimal,
        thousands=thousands,
        header=False if names else said.header,
        names=names,
    )


def _codec(encoding: str) -> str:
    """Return the name of a text encoding; raises InvalidInputError."""
    try:
        "a".encode(encoding)
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise InvalidInputError(
            f"no text encoding '{encoding}'; known are for example utf-8, utf-16, cp1252, latin-1"
        ) from error


def sniff(path: Path, stated: Stated | None = None, *, known: Collection[str] = ()) -> Dialect:
    """Return the dialect of the CSV file ``path``: stated options, the others detected.

    ``known`` are expected columns: a first row with one of them is a header, whatever was stated.
    Raises InvalidInputError for a file that is no CSV file, or has no header.
    """
    said = stated or Stated()
    raw, compression = csv_bytes.sample(path)
    for magic, what in _NOT_CSV:
        if raw.startswith(magic):
            raise InvalidInputError(f"{path} is {what}")
    marked = next((name for bom, name in _BOMS if raw.startswith(bom)), None)
    encoding = marked or said.encoding or "utf-8"
    text = raw.decode(encoding, errors="replace").removeprefix("\ufeff")
    if encoding == "utf-8" and text.count("\x00") > len(text) // 4:
        raise InvalidInputError(
            f"{path} is binary, or UTF-16 without its byte order mark; save it as UTF-8, or give "
            "--encoding utf-16-le"
        )
    if not text.strip():
        raise InvalidInputError(f"{path} is empty")
    delimiter, rows = _split(text, said.delimiter, whole=len(raw) < csv_bytes.SAMPLE_BYTES)
    if not rows:
        raise InvalidInputError(
            f"the header of {path} is longer than {csv_bytes.SAMPLE_BYTES:,} bytes"
        )
    _check_width(len(rows[0]), path)
    has_header = said.header is not False or csv_header.has(rows[0], known)
    header = tuple(rows[0]) if has_header else csv_header.given(said.names, len(rows[0]), path)
    data = rows[1:] if has_header else rows
    if has_header and said.header is None and not csv_header.has(rows[0], known):
        csv_header.refuse_values(header, data, path)
    texts = csv_quotes.text_columns(text, delimiter, len(header), header=has_header)
    return Dialect(
        header=header,
        delimiter=delimiter,
        decimal_point=said.decimal or _decimal_point(delimiter, data),
        thousands=said.thousands,
        encoding=encoding,
        compression=compression,
        has_header=has_header,
        missing=said.missing or (),
        quoted=frozenset(header[place].strip() for place in texts),
        repeated_name=csv_header.among_values(header, data) if has_header else None,
    )


def refuse_utf8(path: Path, usual: str) -> None:
    """Raise InvalidInputError if a file is UTF-8 and earlier ones were not."""
    if is_utf8(path, usual):
        raise InvalidInputError(
            f"{path} is UTF-8, and the files of this dataset are {usual}; say --encoding utf-8, or "
            f"--encoding {usual} if it is that in spite of it"
        )


def is_utf8(path: Path, said: str) -> bool:
    """Tell whether a file without byte order mark is valid UTF-8 that encoding ``said`` garbles.

    A single-byte encoding accepts any file, and reads Köln as KÃ¶ln.
    """
    raw, _ = csv_bytes.sample(path)
    marked = any(raw.startswith(bom) for bom, _ in _BOMS)
    if raw.isascii() or marked or len(bytes(range(256)).decode(said, errors="replace")) < 256:
        return False
    with suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder("utf-8")().decode(raw)
        return True
    return False


def check_names(names: list[str], path: Path) -> None:
    """Raise InvalidInputError if a column of ``path`` has no name, two have the same, or too many.

    The rules of a column take about 20 kB of memory, whatever its values.
    """
    _check_width(len(names), path)
    for position, name in enumerate(names, start=1):
        if not name:
            hint = "pandas writes its index so: use to_csv(..., index=False)"
            if position > 1:
                hint = "does each line end with a delimiter?"
            raise InvalidInputError(
                f"column {position} of {path} has no name; give it one or leave it out ({hint})"
            )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        listed = ", ".join(repr(name) for name in twice[:5])
        raise InvalidInputError(
            f"{path} has more than one column named {listed}; rename them, or say --no-header if "
            "the first row is no header"
        )


def _check_width(columns: int, path: Path) -> None:
    if columns > MOST_COLUMNS:
        raise InvalidInputError(
            f"{path} has {columns:,} columns, {MOST_COLUMNS:,} are the most; keep what a model "
            "can learn from, or write the table long instead of wide"
        )


def _split(text: str, stated: str | None, *, whole: bool) -> tuple[str, list[list[str]]]:
    """Return the delimiter that splits the most rows into equally many cells, and the rows."""
    if stated is not None:
        return stated, _rows(text, stated, whole=whole)
    best: tuple[float, int] = (0.0, 0)
    chosen, kept = _DELIMITERS[0], _rows(text, _DELIMITERS[0], whole=whole)
    for delimiter in _DELIMITERS:
        rows = _rows(text, delimiter, whole=whole)
        if not rows or len(rows[0]) < 2:
            continue
        width = len(rows[0])
        alike = sum(len(row) == width for row in rows) / len(rows)
        if (alike, width) > best:
            best, chosen, kept = (alike, width), delimiter, rows
    return chosen, kept


def _rows(text: str, delimiter: str, *, whole: bool) -> list[list[str]]:
    """Return the first rows of the sample, without a truncated last one or overlong values."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    with suppress(csv.Error):
        for row in reader:
            if len(rows) == _SAMPLE_ROWS:
                return rows
            if row:
                rows.append(row)
        return rows if whole else rows[:-1]
    return rows


def _decimal_point(delimiter: str, rows: list[list[str]]) -> str:
    """Return the decimal mark: a comma only if commas separate nothing else."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    if any(_DECIMAL_POINT.match(cell) for cell in cells):
        return "."
    return "," if any(_DECIMAL_COMMA.match(cell) for cell in cells) else "."
