"""How many requests may wait for a model or the database: one that hangs stops nothing else.

What waits for its body is no matter here: ``patience`` sees to that.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlkit.server.problems import RefusedError

ACTUALS: Final = "/actuals"  # no name of a model
_SPARE: Final = 8  # one thread in so many is for probes
_OWN: Final = 2  # of as many, those for one thing have one at most


class ConcurrencyLimits:
    """A place for each request that may take long; who finds none is refused at once."""

    def __init__(self, threads: int) -> None:
        self._all = max(1, threads - max(1, threads // _SPARE))
        self._each = max(1, threads // _OWN)
        self._taken: Counter[str] = Counter()
        self._sum = 0
        self._lock = threading.Lock()

    def full(self, thing: str) -> str:
        """Return why nobody else may wait for a model or ``ACTUALS``, "" if there are places."""
        with self._lock:
            return self._full(thing)

    @contextmanager
    def slot(self, thing: str) -> Iterator[None]:
        """Have a place to wait for a model or ``ACTUALS``; raises RefusedError 503 without any."""
        with self._lock:
            full = self._full(thing)
            if not full:
                self._taken[thing] += 1
                self._sum += 1
        if full:
            text = f"{thing}: {full}; try again"
            raise RefusedError(503, text, [("Retry-After", "1")], why="too many wait already")
        try:
            yield
        finally:
            with self._lock:
                self._sum -= 1
                self._taken[thing] -= 1
                if not self._taken[thing]:
                    del self._taken[thing]

    def _full(self, thing: str) -> str:
        if self._taken[thing] >= self._each:
            return f"{self._each} requests wait for it already, and more may not (server.threads)"
        if self._sum >= self._all:
            return f"{self._all} requests wait already, and more may not (server.threads)"
        return ""
