"""The table from errors to HTTP status codes, and error documents after RFC 9457."""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from mlkit.errors import (
    BusyError,
    CheckFailedError,
    ConflictError,
    DamagedError,
    InvalidInputError,
    MlkitError,
    ModelFailsError,
    NotFoundError,
)

STATUS: dict[type[MlkitError], int] = {
    InvalidInputError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    DamagedError: 503,
    CheckFailedError: 422,
    ModelFailsError: 500,
    BusyError: 503,
    MlkitError: 500,
}
JSON = "application/json"
PROBLEM = "application/problem+json"
SAFE_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ("Referrer-Policy", "no-referrer"),
)
_OWN_FIELDS = ("type", "title", "status", "detail")

Headers = Sequence[tuple[str, str]]

log = logging.getLogger("mlkit.server")


class RefusedError(MlkitError):
    """A request that is refused with a status of its own; never leaves ``server/``."""

    def __init__(self, status: int, message: str, headers: Headers = (), *, why: str = "") -> None:
        """``why`` is for the log: a short reason, without anything that the client sent."""
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.why = why


class Fault(NamedTuple):
    """Why a request was not answered, independent of the protocol."""

    status: int
    detail: str
    details: Mapping[str, Any] = MappingProxyType({})
    headers: Headers = ()
    why: str = ""


class Reply(NamedTuple):
    """A response: status line, headers, body."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def reply(body: bytes, *, status: int = 200, kind: str = JSON, headers: Headers = ()) -> Reply:
    """Return a response with the headers that every response has."""
    return Reply(
        _line(status),
        [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            *SAFE_HEADERS,
            *headers,
        ],
        body,
    )


def json_reply(value: object, *, status: int = 200) -> Reply:
    """Return an answer whose body is ``value`` as JSON."""
    return reply(msgspec.json.encode(value), status=status)


def fault(error: BaseException) -> Fault:
    """Return the error as a client may see it; an unexpected one is a 500 without details."""
    if isinstance(error, RefusedError):
        return Fault(error.status, str(error), {}, error.headers, error.why)
    for kind, status in STATUS.items():
        if isinstance(error, kind) and kind is not MlkitError:
            headers = [("Retry-After", "1")] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
            return Fault(status, str(error), error.details, headers)
    log.error("a request failed", exc_info=error)
    return Fault(500, "the server failed to answer; its log says why")


def problem(error: Exception) -> Reply:
    """Return the response to ``error``."""
    return document(fault(error))


def document(found: Fault) -> Reply:
    """Return the response to a fault in the format of RFC 9457."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(found.status).phrase,
        "status": found.status,
        "detail": found.detail,
    }
    content |= {k: v for k, v in found.details.items() if k not in _OWN_FIELDS}
    body = msgspec.json.encode(content, enc_hook=str)
    return reply(body, status=found.status, kind=PROBLEM, headers=found.headers)


@cache
def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
