"""Decompress the bytes of a CSV file and recode them as UTF-8; errors have the line."""

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import pyarrow as pa

from mlkit.errors import InvalidInputError

SAMPLE_BYTES = 1 << 20
MOST_EXPANDED_BYTES = 1 << 30  # of a compressed file, or
MOST_EXPANSION = 200  # times its size: CSV rarely compresses to 1 %
_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_HIGH, _FEW = 0x80, 0.3
_CONTROLS = {0x00, 0x81, 0x8D, 0x8F, 0x90, 0x9D}  # undefined in cp1252
_LIKELY = (
    "utf_16", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5",
    "euc_kr",
)  # fmt: skip


def sample(path: Path) -> tuple[bytes, str | None]:
    """Return the first megabyte of a file, decompressed, and the compression."""
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


@contextmanager
def as_utf8(
    path: Path,
    encoding: str,
    compression: str | None,
    *,
    folder: Path | None = None,
    count: Callable[[int], None] | None = None,
) -> Iterator[Path]:
    """Yield a file with the same rows in UTF-8: ``path`` itself, or a temporary copy.

    The copy is in ``folder``; ``count`` is called with the bytes of ``path`` read so far. Raises
    InvalidInputError with the line of the first invalid byte, or for a decompression bomb. Done
    before reading, because Arrow would call a Python decoder from threads that may outlive the
    reader, and such a call during the shutdown of Python aborts the process.
    """
    if encoding == "utf-8":
        _recode(path, encoding, compression, None, count)
        yield path
        return
    with NamedTemporaryFile(suffix=".csv", dir=folder) as copy:
        _recode(path, encoding, compression, copy, count)
        copy.flush()
        yield Path(copy.name)


def _recode(
    path: Path,
    encoding: str,
    compression: str | None,
    copy: IO[bytes] | None,
    count: Callable[[int], None] | None,
) -> None:
    """Decode all of ``path``, into ``copy`` if there is one."""
    decoder = codecs.getincrementaldecoder(encoding)()
    most = max(MOST_EXPANDED_BYTES, MOST_EXPANSION * path.stat().st_size)
    lines, size = 1, 0
    try:
        with path.open("rb") as raw, _decompressed(raw, compression) as stream:
            while chunk := stream.read(SAMPLE_BYTES):
                size += len(chunk)
                if compression is not None and size > most:
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
        raise _not_in(path, encoding, error, lines) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error


def _bomb(path: Path, most: int) -> InvalidInputError:
    return InvalidInputError(
        f"{path} expands to more than {most:,} bytes, {MOST_EXPANSION} times its size; if that is "
        "meant, decompress it first"
    )


def _not_in(path: Path, encoding: str, error: UnicodeDecodeError, line: int) -> InvalidInputError:
    """Return the error for a byte that is invalid in the encoding, suggesting a likely encoding."""
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
    """Return the most likely encoding of ``sample``."""
    high = sum(byte >= _HIGH for byte in sample)
    letters = sum(chr(byte).isalpha() for byte in sample if byte < _HIGH)
    if high < _FEW * (high + letters) and not _CONTROLS & set(sample):
        return "cp1252"  # western text with a few accents
    from charset_normalizer import from_bytes  # imported only for an invalid file

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
