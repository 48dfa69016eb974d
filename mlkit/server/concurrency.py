"""Limits on concurrent requests (the bulkhead pattern): one model that hangs stops no other.

Requests whose body has not arrived yet are limited by ``slow_clients``.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mlkit.server.problems import RefusedError

ACTUALS: Final = "/actuals"  # not a possible model name
_SPARE: Final = 8  # one thread in eight is kept free for health checks
_SHARE: Final = 2  # one resource may take at most one thread in two


class ConcurrencyLimits:
    """A slot for each request that may take long; without a free slot it is refused at once."""

    def __init__(self, threads: int) -> None:
        self._all = max(1, threads - max(1, threads // _SPARE))
        self._each = max(1, threads // _SHARE)
        self._taken: Counter[str] = Counter()
        self._sum = 0
        self._lock = threading.Lock()

    def full(self, resource: str) -> str:
        """Return why a model or ``ACTUALS`` takes no more requests, "" if it does."""
        with self._lock:
            return self._full(resource)

    @contextmanager
    def slot(self, resource: str) -> Iterator[None]:
        """Hold a slot of a model or ``ACTUALS``; raises RefusedError 503 if none is free."""
        with self._lock:
            full = self._full(resource)
            if not full:
                self._taken[resource] += 1
                self._sum += 1
        if full:
            text = f"{resource}: {full}; try again"
            raise RefusedError(503, text, [("Retry-After", "1")], why="too many wait already")
        try:
            yield
        finally:
            with self._lock:
                self._sum -= 1
                self._taken[resource] -= 1
                if not self._taken[resource]:
                    del self._taken[resource]

    def _full(self, resource: str) -> str:
        if self._taken[resource] >= self._each:
            return f"{self._each} requests wait for it already, and more may not (server.threads)"
        if self._sum >= self._all:
            return f"{self._all} requests wait already, and more may not (server.threads)"
        return ""
