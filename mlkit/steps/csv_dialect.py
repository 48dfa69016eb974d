"""How a CSV file is written: encoding, compression, delimiter, decimal mark and column names.

Looks at the first megabyte only; reading the rows is ``frames``' business.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO

from mlkit.errors import InvalidInputError

SAMPLE_BYTES = 1 << 20
_SAMPLE_ROWS = 100
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (  # the longer one first: UTF-32's begins with UTF-16's
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8"),
)
_NOT_CSV = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"SQLite format 3", "a SQLite database; export the table as CSV"),
    (b"{", "JSON; convert it to CSV or Parquet"),
    (b"[{", "JSON; convert it to CSV or Parquet"),
)
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_DECIMAL_POINT = re.compile(r"^[+-]?\d+\.\d+$")


@dataclass(frozen=True)
class Dialect:
    """How to read one CSV file; ``header`` is the first row as it is written."""

    header: tuple[str, ...]
    delimiter: str = ","
    decimal_point: str = "."
    encoding: str = "utf-8"
    compression: str | None = None

    @property
    def names(self) -> list[str]:
        """The column names, without the blanks around them."""
        return [name.strip() for name in self.header]


def sniff(path: Path) -> Dialect:
    """Return the dialect of the CSV file ``path``; raises InvalidInputError."""
    raw, compression = _sample(path)
    for magic, what in _NOT_CSV:
        if raw.startswith(magic):
            raise InvalidInputError(f"{path} is {what}")
    encoding = next((name for bom, name in _BOMS if raw.startswith(bom)), "utf-8")
    text = raw.decode(encoding, errors="replace").removeprefix("\ufeff")
    if encoding == "utf-8" and text.count("\x00") > len(text) // 4:
        raise InvalidInputError(
            f"{path} is binary, or UTF-16 without its byte order mark; save it as UTF-8"
        )
    if not text.strip():
        raise InvalidInputError(f"{path} is empty")
    delimiter, rows = _split(text, whole=len(raw) < SAMPLE_BYTES)
    if not rows:
        raise InvalidInputError(f"the header of {path} is longer than {SAMPLE_BYTES:,} bytes")
    return Dialect(
        header=tuple(rows[0]),
        delimiter=delimiter,
        decimal_point=_decimal_point(delimiter, rows[1:]),
        encoding=encoding,
        compression=compression,
    )


def check_names(names: list[str], path: Path) -> None:
    """Raise InvalidInputError if a column of ``path`` has no name or two have the same."""
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
        raise InvalidInputError(f"{path} has more than one column named {listed}; rename them")


@contextmanager
def as_utf8(path: Path, dialect: Dialect) -> Iterator[Path]:
    """Yield a file with the same rows in UTF-8: ``path`` itself, or a copy that lives as long.

    Raises InvalidInputError with the line of the first byte that is not what it should be. Done
    before reading, because Arrow would call a decoder from threads that may outlive the reader,
    and one that asks for Python while it shuts down aborts the process.
    """
    if dialect.encoding == "utf-8":
        _recode(path, dialect, None)
        yield path
        return
    with NamedTemporaryFile(suffix=".csv") as copy:
        _recode(path, dialect, copy)
        copy.flush()
        yield Path(copy.name)


def _recode(path: Path, dialect: Dialect, copy: IO[bytes] | None) -> None:
    """Decode all of ``path``, into ``copy`` if there is one."""
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    lines = 1
    try:
        with _open(path, compressed=dialect.compression is not None) as stream:
            while chunk := stream.read(SAMPLE_BYTES):
                text = decoder.decode(chunk)
                lines += text.count("\n")
                if copy is not None:
                    copy.write(text.encode())
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        lines += error.object[: error.start].count(b"\n")
        name, wrong = dialect.encoding.upper(), error.object[error.start]
        raise InvalidInputError(
            f"{path} is not {name}: byte 0x{wrong:02x} in line {lines}; save it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error


def _open(path: Path, *, compressed: bool) -> gzip.GzipFile | BinaryIO:
    return gzip.open(path) if compressed else path.open("rb")


def _sample(path: Path) -> tuple[bytes, str | None]:
    with path.open("rb") as stream:
        raw = stream.read(SAMPLE_BYTES)
    if not raw.startswith(b"\x1f\x8b"):
        return raw, None
    try:
        with gzip.open(path) as stream:
            return stream.read(SAMPLE_BYTES), "gzip"
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error


def _split(text: str, *, whole: bool) -> tuple[str, list[list[str]]]:
    """Return the delimiter that cuts the most rows alike, and the rows it gives."""
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
    """Return the first rows of the sample, without one that its end or an overlong value cuts."""
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
    """Return the decimal mark: a comma only where commas separate nothing else."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    if any(_DECIMAL_POINT.match(cell) for cell in cells):
        return "."
    return "," if any(_DECIMAL_COMMA.match(cell) for cell in cells) else "."
