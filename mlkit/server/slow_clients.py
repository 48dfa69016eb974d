"""How long this worker waits for its clients: a body that does not come holds a thread.

The shorter of threads or connections it is, the less patient it becomes: whoever has been waited
for longest goes first, so that others are answered throughout.
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
_AMPLE: Final = 0.5  # of the threads or connections are free: no need to hurry anybody
_SAY_S: Final = 60.0

log = logging.getLogger("mlkit.server")


class _Waiting(NamedTuple):
    """A connection that waits for an answer: since when, and its segments as they were then."""

    since: float
    sent: int
    received: int


class SlowClients:
    """Know which requests are being read, and cut off those that do not come."""

    def __init__(self, settings: Server) -> None:
        self._settings = settings
        self.body_s = settings.body_s
        self._requests: dict[int, _Body] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._cut: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._said_at = -_SAY_S
        self._unsaid = 0

    def begin(self, environ: dict[str, Any]) -> None:
        """Count the request of this thread as in hand, its body under the deadline."""
        environ["wsgi.input"] = self._requests[threading.get_ident()] = _Body(environ, self)

    def end(self) -> None:
        """Count the request of this thread as answered."""
        self._requests.pop(threading.get_ident(), None)

    def was_cut(self, since: float) -> bool:
        """Tell whether any connection was cut off since then, at this process's own clock."""
        return any(at >= since for at in list(self._cut.values()))

    def check(self, port: int) -> None:
        """Cut off those connections to ``port`` that have been waited for too long."""
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
        """Return how long a body may take while a share of the threads waits for others."""
        whole_s = self._settings.body_s
        free = max(0.0, 1.0 - taken)
        return max(min(_LEAST_S, whole_s), whole_s * min(1.0, free / _AMPLE))

    def _known(self, now: float, port: int) -> dict[Connection, float]:
        """Return the connections and how long each has kept us waiting.

        The kernel's clock is coarse, but connections are accepted in the order in which they were
        made: one that is seen for the first time is younger than all that were seen before.
        """
        found, waiting = {}, {}
        newest = max((each.since for each in self._waiting.values() if not each.sent), default=0.0)
        for each in connections.of_port(port):
            if not each.waits:
                found[each] = now - each.sent_at
                continue
            known = self._waiting.get(each.key)
            if known is None or known.sent != each.sent:
                # one that was never answered is as old as its connection: a drip says no less
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
        """Return who has kept us waiting too long: senders before those who are merely silent.

        Which connection a request came by is not known. One that waits for a slow answer looks
        like one whose body does not come, so an address that has such an answer coming is spared.
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
        """Return what sorts the oldest first.

        Who goes on sending comes before all who may have said everything and wait for a thread.
        """
        return self._is_quiet(each), -waited_s, self._seen[each.key], each.handle

    def _is_quiet(self, each: Connection) -> bool:
        """Tell whether a connection that waits has sent nothing more since it was first seen."""
        known = self._waiting.get(each.key)
        return known is None or each.received == known.received

    def _make_room(self, found: Mapping[Connection, float], now: float, busy: set[str]) -> None:
        """Close the connections that have been silent longest until half of the places are free.

        A whole request that waits for a thread looks like one without its end: while there are
        some that go on sending, these go instead.
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
            self._cut[each.key] = now  # first: who reads its body asks as soon as that has ended
            if connections.shut_down_reading(each):
                self._unsaid += 1
            else:
                del self._cut[each.key]
        if self._unsaid and now - self._said_at >= _SAY_S:
            log.warning(
                "cut off %d connections that did not send what they had begun, or were silent "
                "while places were short (see: server.body_s, server.connections)",
                self._unsaid,
            )
            self._said_at, self._unsaid = now, 0


class _Body:
    """The body of a request as WSGI's input, which is refused when it ends before its end.

    It is what is known of the request as well: whose it is, whether it is ``reading``, since when.
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
                f"the body did not come whole: {len(found)} bytes in {now - began:.1f} s "
                f"(server.body_s is {self._slow_clients.body_s:g})",
                [("Connection", "close")],
            )
        return found

    def _is_short(self, found: int, size: int, began: float, now: float) -> bool:
        length = str(self._length or "")
        if length.isascii() and length.isdigit():
            return found < min(size, int(length))
        # sent in chunks: the front takes a cut for the end
        return now - began >= CHECK_EVERY_S and self._slow_clients.was_cut(began)
