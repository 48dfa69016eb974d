"""One line for a request: for those that are refused by default, for all if the settings ask.

Nothing in a line is a value that a client sent about somebody: routes, models and reasons are words
of our own, and what is not (a Host header, the beginning of a path that leads nowhere) is cut short
and made printable.
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

TOKEN: Final = "mlkit.token"  # keys of the environment of a request: who asks  # noqa: S105
WHY: Final = "mlkit.why"  # and why it is refused

_MINUTE_S: Final = 60.0
_COLUMNS: Final = 5
_SECRET: Final = re.compile(r"mlkit_[0-9A-Za-z]+_[\w-]+")
_WHY: Final = {
    400: "malformed body or header",
    403: "not allowed",
    404: "no such path, model or version",
    405: "no such method here",
    408: "the body did not come whole",
    409: "request_id or actual used for something else",
    413: "body or rows too many",
    415: "media type or encoding",
    422: "unfit values",
    500: "error in the server or the model, see above",
    503: "not ready, or the log or the database cannot be written",
}

access_log = logging.getLogger("mlkit.access")
refusal_log = logging.getLogger("mlkit.refused")


class Asked(NamedTuple):
    """What was asked for: a route as we write it or a path that leads nowhere, and its model."""

    route: str
    model: str = ""


class RequestLog:
    """Write the lines of one worker, of refusals at most some a minute for each status."""

    def __init__(self, settings: Server) -> None:
        self._all = settings.access_log
        self._most = settings.refusal_log
        self._lock = threading.Lock()
        self._written: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._minute_ends = 0.0
        if self._all:
            access_log.setLevel(logging.INFO)

    def answered(
        self, environ: Environ, asked: Asked, status: int, seconds: float, why: str = ""
    ) -> None:
        """Note one request; with ``why`` it was refused, or failed."""
        if self._held and time.monotonic() >= self._minute_ends:
            self.flush()
        if why:
            if self._most and self._may_write(status):
                word = "refused" if status < 500 else "failed"  # of HTTP
                refusal_log.warning('%s %s why="%s"', word, _line(environ, asked, status), why)
        elif self._all:
            access_log.info("answered %s ms=%.1f", _line(environ, asked, status), seconds * 1e3)

    def flush(self) -> None:
        """Say how many refusals have no line of their own, and begin a new minute."""
        with self._lock:
            held, self._held, self._written = self._held, {}, {}
            self._minute_ends = time.monotonic() + _MINUTE_S
        for status, count in sorted(held.items()):
            refusal_log.warning("refused %d: %d more within a minute, not listed", status, count)

    def _may_write(self, status: int) -> bool:
        with self._lock:
            if time.monotonic() >= self._minute_ends and not self._held:
                self._written = {}
                self._minute_ends = time.monotonic() + _MINUTE_S
            count = self._written.get(status, 0)
            if count >= self._most:
                self._held[status] = self._held.get(status, 0) + 1
                return False
            self._written[status] = count + 1
            return True


def why(fault: Fault, columns: Collection[str] = ()) -> str:
    """Return the reason of a refusal without any value of a client's.

    Of the columns with unfit values those are named that are among ``columns``.
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
    r"""Return the beginning of a text on one line, without secrets, quotes and control characters.

    >>> print(printable('a"b\x1b[2J\n', 20))
    a\x22b\x1b[2J\x0a
    """
    begin = _SECRET.sub("mlkit_...", text[: 4 * most])[:most]
    return "".join(
        sign if sign.isprintable() and sign not in '"\\' else _escaped(sign) for sign in begin
    )


def nowhere(path: str) -> str:
    """Return how a path that leads nowhere is written: what comes after its first part may be data.

    >>> nowhere("/metrics/"), nowhere("//predict/churn"), nowhere("/nothing"), nowhere("")
    ('/metrics/...', '//predict/...', '/nothing', '-')
    """
    slashes = path[: len(path) - len(path.lstrip("/"))]
    first, more, _ = path.lstrip("/").partition("/")
    return slashes[:4] + _word(first, 40) + ("/..." if more else "") or "-"


def _word(text: str, most: int) -> str:
    return printable(text, most).replace(" ", "\\x20")  # no text begins a field of its own


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"  # of a byte


def _line(environ: Environ, asked: Asked, status: int) -> str:
    method = _word(str(environ.get("REQUEST_METHOD") or ""), 20)
    client = _word(str(environ.get("REMOTE_ADDR") or "-"), 64)
    token = environ.get(TOKEN) or "-"
    return (
        f"{status} {method} {asked.route} model={asked.model or '-'} token={token} client={client}"
    )
