"""Read a request's body, within limits, into a typed message: the one parser of client input."""

import gc
import json
from collections import Counter
from collections.abc import Callable, Collection, MutableMapping
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server.problems import JSON, RefusedError

T = TypeVar("T")

Environ = MutableMapping[str, Any]  # PEP 3333

_LARGE_BYTES: Final = 50_000


def media_type(environ: Environ) -> str:
    """Return the media type of the body in lower case, without its parameters."""
    return _without_parameters(str(environ.get("CONTENT_TYPE") or ""))


def read_body(environ: Environ, *, max_bytes: int, kinds: Collection[str] = (JSON,)) -> bytes:
    """Return the body if its media type is among ``kinds``; raises RefusedError 400, 413 or 415."""
    if media_type(environ) not in kinds:
        raise RefusedError(
            415, f"the body must be {_either(kinds)}, sent with the header 'Content-Type: {JSON}'"
        )
    coding = environ.get("HTTP_CONTENT_ENCODING")
    if coding and coding.lower() != "identity":
        raise RefusedError(
            415, f"the body must not be compressed (Content-Encoding: {coding[:32]})"
        )
    length = str(environ.get("CONTENT_LENGTH") or "")
    if length and not (length.isascii() and length.isdigit()):
        raise RefusedError(400, "Content-Length is not a number")
    if len(length) > 18 or (length and int(length) > max_bytes):
        raise _too_large(max_bytes)
    body: bytes = environ["wsgi.input"].read(max_bytes + 1)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the message in ``body``.

    Raises RefusedError 400 if it is not valid JSON (``NaN``, ``Infinity`` and duplicate keys are
    not valid), InvalidInputError if it does not have the expected shape.
    """
    try:
        message = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInputError(_explain(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise RefusedError(400, f"the body is not valid JSON: {str(error)[:200]}") from error
    refuse_duplicate_keys(body)
    return message


def without_gc(size_bytes: int, act: Callable[[], T]) -> T:
    """Return ``act()``, with the cycle collector disabled if the body is large.

    A message has no cycles, but with 5 MB of empty lists the collector runs so often that reading
    takes eight times as long (0.6 s instead of 0.07 s, measured), holding the interpreter lock.
    """
    if size_bytes < _LARGE_BYTES:
        return act()
    gc.disable()
    try:
        return act()
    finally:
        gc.enable()


def refuse_many(count: int, max_rows: int) -> None:
    """Raise RefusedError 413 if there are more rows than one request may have."""
    if count > max_rows:
        raise RefusedError(413, f"{count} rows are more than {max_rows} (server.max_rows)")


def refuse_duplicate_keys(body: bytes, *, colons: int = -1) -> None:
    """Raise RefusedError 400 if an object of a JSON text has duplicate keys, which is ambiguous.

    This parses the text a second time, with a hook that gets the key-value pairs of each object. It
    doubles the time of a thousand rows (4 ms, measured), so a caller may spare it by a count:
    ``colons`` is the number of keys plus the number of colons inside the strings of the decoded
    message. Without escapes, a text has one colon after each key and those inside of its strings.
    If the text has exactly ``colons`` of them, no key can have occurred twice.
    """
    if body.count(b":") == colons and b"\\" not in body:
        return
    try:
        _duplicate_key_finder.decode(body.decode())
    except RecursionError as error:
        raise RefusedError(400, "the body is nested too deeply") from error
    except ValueError as error:  # in a part of the text that the typed decoder skipped
        raise RefusedError(400, f"the body is not valid JSON: {str(error)[:200]}") from error


def _refuse_duplicate_key(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise RefusedError(400, f"an object of the body has the key '{twice[:100]}' twice")


_duplicate_key_finder = json.JSONDecoder(  # numbers need not be parsed again
    object_pairs_hook=_refuse_duplicate_key, parse_int=len, parse_float=len
)


@lru_cache(maxsize=64)
def _without_parameters(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _either(kinds: Collection[str]) -> str:
    names = {JSON: "JSON", "text/csv": "CSV", "application/octet-stream": "binary"}
    return " or ".join(names.get(kind, kind) for kind in kinds if kind)


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {max_bytes} bytes (server.max_body_bytes)")


def _explain(message: str) -> str:
    """Return msgspec's message in the style of our own."""
    text = message.replace("`$.", "`").replace(" - at `$`", " - at the top of the body")
    return text[:1].lower() + text[1:]
