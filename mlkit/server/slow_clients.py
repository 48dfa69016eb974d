"""Deadlines for slow clients (slowloris protection): an incomplete body blocks a thread.

The fewer threads or connections are free, the shorter the deadline. The connections that have kept
the worker waiting longest are cut off first, so that all others are answered throughout.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mlkit.server import connections
from mlkit.server.connections import Connection
from mlkit.server.problems import RefusedError
from mlkit.server.wire import Environ
from mlkit.settings.table import Server

CHECK_EVERY_S: Final = 0.25
_LEAST_S: Final = 1.0
_AMPLE: Final = 0.5  # share of free threads or connections at which nobody is hurried
_LOG_EVERY_S: Final = 60.0

log = logging.getLogger("mlkit.server")


class _Waiting(NamedTuple):
    """A connection that waits for an answer: since when, and its segment counts at that time."""

    since: float
    sent: int
    received: int


class SlowClients:
    """Track the requests that are being read, and cut off connections that send nothing."""

    def __init__(self, settings: Server) -> None:
        self._settings = settings
        self.body_s = settings.body_s
        self._requests: dict[int, _Body] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._cut: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._logged_at = -_LOG_EVERY_S
        self._unlogged = 0

    def begin(self, environ: dict[str, Any]) -> None:
        """Track the request of this thread; its body is under the deadline from now on."""
        environ["wsgi.input"] = self._requests[threading.get_ident()] = _Body(environ, self)

    def end(self) -> None:
        """Stop tracking the request of this thread: it is answered."""
        self._requests.pop(threading.get_ident(), None)

    def was_cut(self, since: float) -> bool:
        """Tell whether any connection was cut off after ``since`` (``time.monotonic``)."""
        return any(at >= since for at in list(self._cut.values()))

    def check(self, port: int) -> None:
        """Cut off the connections to ``port`` that are over the deadline."""
        now = time.monotonic()
        requests = list(self._requests.values())
        began = [each.since for each in requests if each.reading]
        crowded = connections.count() > self._settings.connections * _AMPLE
        if not crowded and (not began or now - min(began) < _LEAST_S / 2):
            self._waiting.clear()
            return
        found = self._known(now, port)
        patience_s = self._patience_s(len(began) / self._settings.threads)
        overdue = sum(now - since >= patience_s for since in began)
        busy = {
            each.address for each in requests if not each.reading and now - each.since > patience_s
        }
        ending = sum(now - self._cut.get(each.key, 0.0) < _LEAST_S for each in found)
        self._end(self._late(found, patience_s, busy)[: max(0, overdue - ending)], now)
        if crowded:
            self._make_room(found, now, busy)

    def _patience_s(self, taken: float) -> float:
        """Return the deadline of a body while the share ``taken`` of the threads waits for bodies.

        All of ``server.body_s`` down to half of the threads, then linearly less.
        """
        whole_s = self._settings.body_s
        free = max(0.0, 1.0 - taken)
        return max(min(_LEAST_S, whole_s), whole_s * min(1.0, free / _AMPLE))

    def _known(self, now: float, port: int) -> dict[Connection, float]:
        """Return the connections with the seconds for which each has kept us waiting.

        The kernel's clock is coarse, but connections are accepted in the order in which they were
        opened: one seen for the first time is younger than all that were seen before.
        """
        found, waiting = {}, {}
        newest = max((each.since for each in self._waiting.values() if not each.sent), default=0.0)
        for each in connections.of_port(port):
            if not each.waits:
                found[each] = now - each.sent_at
                continue
            known = self._waiting.get(each.key)
            if known is None or known.sent != each.sent:
                # without an answer so far it waits since it was opened: a drip is no progress
                since = each.received_at if each.sent else max(each.sent_at, newest)
                known = _Waiting(since, each.sent, each.received)
            waiting[each.key] = known
            found[each] = now - known.since
        self._waiting = waiting
        self._seen = {each.key: self._seen.get(each.key, now) for each in found}
        self._cut = {k: at for k, at in self._cut.items() if k in self._seen or now - at < _LEAST_S}
        return found

    def _late(
        self, found: Mapping[Connection, float], patience_s: float, busy: set[str]
    ) -> list[Connection]:
        """Return the overdue connections: unfinished requests first, then idle connections.

        Which connection a request came by is unknown. One that waits for a slow answer looks like
        one with an incomplete body, so addresses with a request in progress (``busy``) are spared.
        """
        late = [
            each
            for each, waited_s in found.items()
            if waited_s >= min(patience_s, self._settings.body_s) - CHECK_EVERY_S
            and each.key not in self._cut
            and each.address not in busy
        ]
        return sorted(late, key=lambda each: (not each.waits, *self._age(each, found[each])))

    def _age(self, each: Connection, waited_s: float) -> tuple[bool, float, float, int]:
        """Return the sort key: oldest first, but connections that still send before quiet ones.

        A quiet one may have sent its whole request and wait for a thread.
        """
        return self._is_quiet(each), -waited_s, self._seen[each.key], each.handle

    def _is_quiet(self, each: Connection) -> bool:
        """Tell whether a waiting connection has sent nothing since it was first seen."""
        known = self._waiting.get(each.key)
        return known is None or each.received == known.received

    def _make_room(self, found: Mapping[Connection, float], now: float, busy: set[str]) -> None:
        """Close the longest idle connections until half of ``server.connections`` are free.

        A complete request that waits for a thread looks like an incomplete one. While some
        connections still send, those are closed instead.
        """
        kept = sum(each.key not in self._cut for each in found)
        excess = kept - int(self._settings.connections * _AMPLE)
        late = self._late(found, min(_LEAST_S, self._settings.idle_s), busy)
        if not all(self._is_quiet(each) for each in late):
            late = [each for each in late if not (each.waits and self._is_quiet(each))]
        silent_first = sorted(late, key=lambda each: (each.waits, *self._age(each, found[each])))
        self._end(silent_first[: max(0, excess)], now)

    def _end(self, late: list[Connection], now: float) -> None:
        for each in late:
            self._cut[each.key] = now  # before the cut: the thread that reads checks it at once
            if connections.shut_down_reading(each):
                self._unlogged += 1
            else:
                del self._cut[each.key]
        if self._unlogged and now - self._logged_at >= _LOG_EVERY_S:
            log.warning(
                "cut off %d connections with an incomplete request, or idle while connections "
                "were short (see: server.body_s, server.connections)",
                self._unlogged,
            )
            self._logged_at, self._unlogged = now, 0


class _Body:
    """The body of a request as ``wsgi.input``; one that ends early is refused.

    It also is the record of its request: the client's address, and whether and since when the body
    is being read.
    """

    __slots__ = ("_input", "_length", "_slow_clients", "address", "reading", "since")

    def __init__(self, environ: Environ, slow_clients: SlowClients) -> None:
        self._input = environ["wsgi.input"]
        self._length = environ.get("CONTENT_LENGTH")
        self._slow_clients = slow_clients
        self.address = environ.get("REMOTE_ADDR") or ""
        self.reading = False
        self.since = time.monotonic()

    def read(self, size: int) -> bytes:
        """Return the first ``size`` bytes; raises RefusedError 408 if the client sends fewer."""
        self.since = began = time.monotonic()
        self.reading = True
        found: bytes = self._input.read(size)
        self.since = now = time.monotonic()
        self.reading = False
        if str(len(found)) != self._length and self._is_short(len(found), size, began, now):
            raise RefusedError(
                408,
                f"the body is incomplete: {len(found)} bytes in {now - began:.1f} s "
                f"(server.body_s is {self._slow_clients.body_s:g})",
                [("Connection", "close")],
            )
        return found

    def _is_short(self, found: int, size: int, began: float, now: float) -> bool:
        length = str(self._length or "")
        if length.isascii() and length.isdigit():
            return found < min(size, int(length))
        # a chunked body has no declared length, and granian takes a cut for its end
        return now - began >= CHECK_EVERY_S and self._slow_clients.was_cut(began)
