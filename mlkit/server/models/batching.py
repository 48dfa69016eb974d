"""Batches of concurrent requests to a slow estimator.

Greedy: the requests that arrive during one batch form the next. No request waits for a batch to
fill up (waiting 2 ms tripled the median latency, measured).
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from mlkit.steps.inputs.answers import Predictions

Ask = Callable[[np.ndarray], Predictions]


class Batcher:
    """Call an estimator for many threads, one batch at a time."""

    def __init__(self, ask: Ask, *, most_rows: int) -> None:
        """End a batch at ``most_rows``, so that large requests delay small ones less."""
        self._ask = ask
        self._most_rows = most_rows
        self._lock = threading.Lock()
        self._waiting: deque[tuple[np.ndarray, Future[Predictions]]] = deque()

    def __call__(self, matrix: np.ndarray) -> Predictions:
        """Return the answers for ``matrix``, computed in a batch with other waiting requests."""
        own: Future[Predictions] = Future()
        self._waiting.append((matrix, own))
        with self._lock:
            while not own.done():  # another thread's batch may have included this request
                self._answer_batch()
        return own.result()

    def _answer_batch(self) -> None:
        """Answer waiting requests, first come, first served."""
        batch = [self._waiting.popleft()]
        rows = len(batch[0][0])
        while self._waiting and rows < self._most_rows:
            batch.append(self._waiting.popleft())
            rows += len(batch[-1][0])
        try:
            found = self._ask(np.concatenate([matrix for matrix, _ in batch]))
        except Exception:  # noqa: BLE001  # an estimator may fail in any way, for one row of many
            self._answer_separately(batch)
            return
        start = 0
        for matrix, future in batch:
            end = start + len(matrix)
            future.set_result(_part(found, start, end))
            start = end

    def _answer_separately(self, batch: list[tuple[np.ndarray, Future[Predictions]]]) -> None:
        """Answer each request by itself, so that a bad row fails only its own request."""
        for matrix, future in batch:
            try:
                future.set_result(self._ask(matrix))
            except Exception as error:  # noqa: BLE001  # raised again in the thread that asked
                future.set_exception(error)


def _part(found: Predictions, start: int, end: int) -> Predictions:
    probabilities = None if found.probabilities is None else found.probabilities[start:end]
    return Predictions(found.values[start:end], probabilities)
