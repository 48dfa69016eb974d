"""Read a request's body, within limits, into a typed message; nothing else trusts a client."""

import json
import re
from collections.abc import Collection, MutableMapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server.problems import JSON, RefusedError

T = TypeVar("T")

Environ = MutableMapping[str, Any]  # PEP 3333

_KEY = re.compile(rb'"((?:[^"\\]|\\.)*+)"\s*:')


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

    Raises RefusedError 400 if it is no JSON (``NaN`` and ``Infinity`` are none, nor is an object
    that has a key twice), InvalidInputError if its shape is another one.
    """
    try:
        message = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInputError(_explain(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise RefusedError(400, f"the body is not valid JSON: {str(error)[:200]}") from error
    refuse_twins(body)
    return message


def refuse_many(count: int, max_rows: int) -> None:
    """Raise RefusedError 413 if there are more rows than may come at once."""
    if count > max_rows:
        raise RefusedError(413, f"{count} rows are more than {max_rows} (server.max_rows)")


def refuse_twins(body: bytes) -> None:
    """Raise RefusedError 400 if an object of a JSON text has a key twice: which one counts.

    Nearly every text shows by its distinct keys alone that it has none; only the others cost a
    second reading.
    """
    keys = _KEY.findall(body)
    if len(set(keys)) == len(keys) and not any(b"\\" in key for key in keys):
        return
    try:
        json.loads(body, object_pairs_hook=_refuse_twin, parse_int=str)
    except RecursionError as error:
        raise RefusedError(400, "the body is nested too deeply") from error


def _refuse_twin(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RefusedError(400, f"an object of the body has the key '{twice[:100]}' twice")


@lru_cache(maxsize=64)
def _without_parameters(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _either(kinds: Collection[str]) -> str:
    names = {JSON: "JSON", "text/csv": "CSV", "application/octet-stream": "binary"}
    return " or ".join(names.get(kind, kind) for kind in kinds if kind)


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {max_bytes} bytes (server.max_body_bytes)")


def _explain(message: str) -> str:
    """Return msgspec's sentence in the manner of our own."""
    text = message.replace("`$.", "`").replace(" - at `$`", " - at the top of the body")
    return text[:1].lower() + text[1:]
