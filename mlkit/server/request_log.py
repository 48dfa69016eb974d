"""The request log: a line for each refused request or, by ``server.access_log``, for each one.

A line has no values that a client sent about a person. Routes, models and reasons are our own
words; a Host header or the beginning of an unknown path is shortened and made printable.
"""

import logging
import re
import threading
import time
from collections.abc import Collection
from typing import Final, NamedTuple

from mlkit.server.problems import Fault
from mlkit.server.wire import Environ
from mlkit.settings.table import Server

TOKEN: Final = "mlkit.token"  # keys of the WSGI environment: the token's label  # noqa: S105
WHY: Final = "mlkit.why"  # and the reason of a refusal

_MINUTE_S: Final = 60.0
_COLUMNS: Final = 5
_SECRET: Final = re.compile(r"mlkit_[0-9A-Za-z]+_[\w-]+")
_WHY: Final = {
    400: "malformed body or header",
    403: "not allowed",
    404: "no such path, model or version",
    405: "no such method here",
    408: "incomplete body",
    409: "request_id or actual used for something else",
    413: "body or rows too many",
    415: "media type or encoding",
    422: "unfit values",
    500: "error in the server or the model, see above",
    503: "not ready, or the log or the database cannot be written",
}

access_log = logging.getLogger("mlkit.access")
refusal_log = logging.getLogger("mlkit.refused")


class Requested(NamedTuple):
    """The route of a request, or its shortened path if that has no route, and its model."""

    route: str
    model: str = ""


class RequestLog:
    """Write the lines of one worker; refusals are limited per status and minute."""

    def __init__(self, settings: Server) -> None:
        self._all = settings.access_log
        self._most = settings.refusal_log
        self._lock = threading.Lock()
        self._written: dict[int, int] = {}
        self._suppressed: dict[int, int] = {}
        self._minute_ends = 0.0
        if self._all:
            access_log.setLevel(logging.INFO)

    def answered(
        self, environ: Environ, requested: Requested, status: int, seconds: float, why: str = ""
    ) -> None:
        """Log one request; with ``why`` it was refused, or failed."""
        if self._suppressed and time.monotonic() >= self._minute_ends:
            self.flush()
        if why:
            if self._most and self._may_write(status):
                word = "refused" if status < 500 else "failed"
                refusal_log.warning('%s %s why="%s"', word, _line(environ, requested, status), why)
        elif self._all:
            access_log.info("answered %s ms=%.1f", _line(environ, requested, status), seconds * 1e3)

    def flush(self) -> None:
        """Log the numbers of suppressed refusals, and begin a new minute."""
        with self._lock:
            suppressed, self._suppressed, self._written = self._suppressed, {}, {}
            self._minute_ends = time.monotonic() + _MINUTE_S
        for status, count in sorted(suppressed.items()):
            refusal_log.warning("refused %d: %d more within a minute, not listed", status, count)

    def _may_write(self, status: int) -> bool:
        with self._lock:
            if time.monotonic() >= self._minute_ends and not self._suppressed:
                self._written = {}
                self._minute_ends = time.monotonic() + _MINUTE_S
            count = self._written.get(status, 0)
            if count >= self._most:
                self._suppressed[status] = self._suppressed.get(status, 0) + 1
                return False
            self._written[status] = count + 1
            return True


def why(fault: Fault, columns: Collection[str] = ()) -> str:
    """Return the reason of a refusal without any value that the client sent.

    Columns with invalid values are named if they are among ``columns``.
    """
    if fault.why:
        return fault.why
    text = _WHY.get(fault.status, "refused")
    problems = fault.details.get("problems") or ()
    named = dict.fromkeys(p["column"] for p in problems if p.get("column") in columns)
    shown = [printable(name, 40) for name in list(named)[:_COLUMNS]]
    more = ", ..." if len(named) > _COLUMNS else ""
    return f"{text}: {', '.join(shown)}{more}" if shown else text


def printable(text: str, most: int) -> str:
    r"""Return the first ``most`` characters, secrets masked, quotes and control codes escaped.

    >>> print(printable('a"b\x1b[2J\n', 20))
    a\x22b\x1b[2J\x0a
    """
    begin = _SECRET.sub("mlkit_...", text[: 4 * most])[:most]
    return "".join(
        sign if sign.isprintable() and sign not in '"\\' else _escaped(sign) for sign in begin
    )


def unrouted(path: str) -> str:
    """Return the log form of a path without a route: after its first part there may be data.

    >>> unrouted("/metrics/"), unrouted("//predict/churn"), unrouted("/nothing"), unrouted("")
    ('/metrics/...', '//predict/...', '/nothing', '-')
    """
    slashes = path[: len(path) - len(path.lstrip("/"))]
    first, more, _ = path.lstrip("/").partition("/")
    return slashes[:4] + _word(first, 40) + ("/..." if more else "") or "-"


def _word(text: str, most: int) -> str:
    return printable(text, most).replace(" ", "\\x20")  # so that no value can forge a field


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _line(environ: Environ, requested: Requested, status: int) -> str:
    method = _word(str(environ.get("REQUEST_METHOD") or ""), 20)
    client = _word(str(environ.get("REMOTE_ADDR") or "-"), 64)
    token = environ.get(TOKEN) or "-"
    model = requested.model or "-"
    return f"{status} {method} {requested.route} model={model} token={token} client={client}"
