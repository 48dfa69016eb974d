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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import pyarrow as pa

from mlkit.errors import InvalidInputError

SAMPLE_BYTES = 1 << 20
MOST_EXPANDED_BYTES = 1 << 30  # of a compressed file, or
MOST_EXPANSION = 200  # times its size: CSV seldom shrinks to a hundredth
MOST_COLUMNS = 20_000
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
    (b"BZh", "compressed by bzip2; decompress it, or use gzip or zstd"),
    (b"\xfd7zXZ", "compressed by xz; decompress it, or use gzip or zstd"),
    (b"SQLite format 3", "a SQLite database; export the table as CSV"),
    (b"{", "JSON; convert it to CSV or Parquet"),
    (b"[{", "JSON; convert it to CSV or Parquet"),
)
_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_HIGH, _FEW = 0x80, 0.3
_CONTROLS = {0x00, 0x81, 0x8D, 0x8F, 0x90, 0x9D}  # which cp1252 does not have
_SPELLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}
_LIKELY = (
    "utf_16", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5",
    "euc_kr",
)  # fmt: skip
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_DECIMAL_POINT = re.compile(r"^[+-]?\d+\.\d+$")


@dataclass(frozen=True)
class Stated:
    """What somebody says of how a CSV file is written; what is None is found out."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How to read one CSV file; ``header`` is the first row as it is written."""

    header: tuple[str, ...]
    delimiter: str = ","
    decimal_point: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    compression: str | None = None

    @property
    def names(self) -> list[str]:
        """The column names, without the blanks around them."""
        return [name.strip() for name in self.header]


def state(
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Stated:
    r"""Return what is said of a CSV file, checked; raises InvalidInputError.

    >>> state(delimiter="tab", encoding="latin1")
    Stated(delimiter='\t', encoding='iso8859-1', decimal=None, thousands=None)
    """
    delimiter, thousands = (_SPELLED.get(mark or "", mark) for mark in (delimiter, thousands))
    for name, mark in (("delimiter", delimiter), ("decimal", decimal), ("thousands", thousands)):
        if mark is not None and (len(mark) != 1 or mark.isalnum() or mark in '"\r\n+-'):
            raise InvalidInputError(f"'{mark}' cannot be the {name} mark; give one character")
    if delimiter is not None and not delimiter.isascii():
        raise InvalidInputError(f"'{delimiter}' cannot be the delimiter mark; it is not ASCII")
    if thousands is not None and thousands == (decimal or "."):
        if decimal is not None:
            raise InvalidInputError(f"'{decimal}' cannot be both the decimal and thousands mark")
        decimal = ","
    return Stated(delimiter, None if encoding is None else _codec(encoding), decimal, thousands)


def _codec(encoding: str) -> str:
    """Return the name of a text encoding; raises InvalidInputError."""
    try:
        "a".encode(encoding)
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise InvalidInputError(
            f"no text encoding '{encoding}'; known are for example utf-8, utf-16, cp1252, latin-1"
        ) from error


def sniff(path: Path, stated: Stated | None = None) -> Dialect:
    """Return the dialect of the CSV file ``path`` as it is stated, the rest from its beginning.

    Raises InvalidInputError for what is no CSV file.
    """
    said = stated or Stated()
    raw, compression = _sample(path)
    for magic, what in _NOT_CSV:
        if raw.startswith(magic):
            raise InvalidInputError(f"{path} is {what}")
    marked = next((name for bom, name in _BOMS if raw.startswith(bom)), "utf-8")
    encoding = said.encoding or marked
    text = raw.decode(encoding, errors="replace").removeprefix("\ufeff")
    if encoding == "utf-8" and text.count("\x00") > len(text) // 4:
        raise InvalidInputError(
            f"{path} is binary, or UTF-16 without its byte order mark; save it as UTF-8, or give "
            "--encoding utf-16-le"
        )
    if not text.strip():
        raise InvalidInputError(f"{path} is empty")
    delimiter, rows = _split(text, said.delimiter, whole=len(raw) < SAMPLE_BYTES)
    if not rows:
        raise InvalidInputError(f"the header of {path} is longer than {SAMPLE_BYTES:,} bytes")
    return Dialect(
        header=tuple(rows[0]),
        delimiter=delimiter,
        decimal_point=said.decimal or _decimal_point(delimiter, rows[1:]),
        thousands=said.thousands,
        encoding=encoding,
        compression=compression,
    )


def check_names(names: list[str], path: Path) -> None:
    """Raise InvalidInputError if a column of ``path`` has no name, two have the same, or too many.

    The rules of a column weigh some 20 kB in memory, whatever its values do.
    """
    if len(names) > MOST_COLUMNS:
        raise InvalidInputError(
            f"{path} has {len(names):,} columns, {MOST_COLUMNS:,} are the most; keep what a model "
            "can learn from, or write the table long instead of wide"
        )
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
def as_utf8(
    path: Path,
    dialect: Dialect,
    *,
    folder: Path | None = None,
    count: Callable[[int], None] | None = None,
) -> Iterator[Path]:
    """Yield a file with the same rows in UTF-8: ``path`` itself, or a copy that lives as long.

    The copy is made in ``folder``; ``count`` hears how many bytes of ``path`` are behind. Raises
    InvalidInputError with the line of the first byte that is not what it should be, or for a file
    that grows beyond measure when it is decompressed. Done before reading, because Arrow would
    call a decoder from threads that may outlive the reader, and one that asks for Python while it
    shuts down aborts the process.
    """
    if dialect.encoding == "utf-8":
        _recode(path, dialect, None, count)
        yield path
        return
    with NamedTemporaryFile(suffix=".csv", dir=folder) as copy:
        _recode(path, dialect, copy, count)
        copy.flush()
        yield Path(copy.name)


def _recode(
    path: Path, dialect: Dialect, copy: IO[bytes] | None, count: Callable[[int], None] | None
) -> None:
    """Decode all of ``path``, into ``copy`` if there is one."""
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    most = max(MOST_EXPANDED_BYTES, MOST_EXPANSION * path.stat().st_size)
    lines, size = 1, 0
    try:
        with path.open("rb") as raw, _decompressed(raw, dialect.compression) as stream:
            while chunk := stream.read(SAMPLE_BYTES):
                size += len(chunk)
                if dialect.compression is not None and size > most:
                    raise _bomb(path, most)
                text = decoder.decode(chunk)
                lines += text.count("\n")
                if copy is not None:
                    copy.write(text.encode())
                if count is not None:
                    count(raw.tell())
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        lines += error.object[: error.start].count(b"\n")
        raise _not_in(path, dialect.encoding, error, lines) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error


def _bomb(path: Path, most: int) -> InvalidInputError:
    return InvalidInputError(
        f"{path} expands to more than {most:,} bytes, {MOST_EXPANSION} times its size; if that is "
        "meant, decompress it first"
    )


def _not_in(path: Path, encoding: str, error: UnicodeDecodeError, line: int) -> InvalidInputError:
    """Return the error for a byte that the encoding does not have, with one that has it."""
    wrong = error.object[error.start]
    start = error.object.rfind(b"\n", 0, error.start) + 1
    end = error.object.find(b"\n", error.start)
    text = error.object[start : end if end >= 0 else None][:SAMPLE_BYTES]
    likely = _likely(error.object[max(0, error.start - 4096) : error.start + 4096])
    hint = "; save it as UTF-8, or give --encoding"
    if likely is not None:
        shown = text.decode(likely, errors="replace").strip()
        place = max(0, len(text[: error.start - start].decode(likely, errors="replace")) - 15)
        hint = f"; if {shown[place:][:40]!r} reads well, give --encoding {likely}"
    return InvalidInputError(
        f"{path} is not {encoding.upper()}: byte 0x{wrong:02x} in line {line}{hint}"
    )


def _likely(sample: bytes) -> str | None:
    """Return the name of an encoding that ``sample`` is probably in."""
    high = sum(byte >= _HIGH for byte in sample)
    letters = sum(chr(byte).isalpha() for byte in sample if byte < _HIGH)
    if high < _FEW * (high + letters) and not _CONTROLS & set(sample):
        return "cp1252"  # a western text with an accent here and there
    from charset_normalizer import from_bytes  # only for a file that is not what it should be

    best = from_bytes(sample, cp_isolation=list(_LIKELY)).best()
    return None if best is None else codecs.lookup(best.encoding).name


@contextmanager
def _decompressed(raw: Any, compression: str | None) -> Iterator[Any]:
    if compression is None:
        yield raw
    elif compression == "gzip":
        with gzip.GzipFile(fileobj=raw) as stream:
            yield stream
    else:
        with pa.CompressedInputStream(pa.PythonFile(raw, "r"), compression) as stream:
            yield stream


def _sample(path: Path) -> tuple[bytes, str | None]:
    with path.open("rb") as stream:
        raw = stream.read(SAMPLE_BYTES)
    compression = next((name for magic, name in _COMPRESSIONS if raw.startswith(magic)), None)
    if compression is None:
        return raw, None
    try:
        with path.open("rb") as file, _decompressed(file, compression) as stream:
            return stream.read(SAMPLE_BYTES), compression
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error


def _split(text: str, stated: str | None, *, whole: bool) -> tuple[str, list[list[str]]]:
    """Return the delimiter that cuts the most rows alike, and the rows it gives."""
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
