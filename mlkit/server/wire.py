"""Read a request's body, within limits, into a typed message; nothing else trusts a client."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.server.problems import JSON, RefusedError

T = TypeVar("T")

Environ = Mapping[str, Any]  # PEP 3333


def read_body(environ: Environ, *, max_bytes: int) -> bytes:
    """Return the JSON body; raises RefusedError 400, 413 or 415."""
    kind = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise RefusedError(
            415, f"the body must be JSON, sent with the header 'Content-Type: {JSON}'"
        )
    coding = str(environ.get("HTTP_CONTENT_ENCODING") or "identity").lower()
    if coding != "identity":
        raise RefusedError(
            415, f"the body must not be compressed (Content-Encoding: {coding[:32]})"
        )
    length = str(environ.get("CONTENT_LENGTH") or "")
    if length and not (length.isascii() and length.isdigit()):
        raise RefusedError(400, "Content-Length is not a number")
    if length and int(length) > max_bytes:
        raise _too_large(max_bytes)
    body: bytes = environ["wsgi.input"].read(max_bytes + 1)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the message in ``body``.

    Raises RefusedError 400 if it is no JSON (``NaN`` and ``Infinity`` are none), InvalidInputError
    if its shape is another one.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInputError(_explain(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise RefusedError(400, f"the body is not valid JSON: {str(error)[:200]}") from error


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {max_bytes} bytes (server.max_body_bytes)")


def _explain(message: str) -> str:
    """Return msgspec's sentence in the manner of our own."""
    text = message.replace("`$.", "`").replace(" - at `$`", " - at the top of the body")
    return text[:1].lower() + text[1:]
