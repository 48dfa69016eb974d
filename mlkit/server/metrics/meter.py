"""The counters of one worker; ``page`` renders the sums over all workers."""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlkit.flows.features.looked_up import OUTCOMES
from mlkit.server.metrics.slots import Key, Slot

BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SECONDS: Final = len(BOUNDS_S) + 1  # after the histogram's buckets, the last of which is +Inf
ROWS: Final = SECONDS + 1
OTHER: Final = "(other)"  # neither a route nor a possible model name

WORKER: Final = "worker"
IN_FLIGHT, DROPPED = 0, 1
ANSWERED: Final = "answered"
INVALID: Final = "invalid"
RULES: Final = "rules"
LOOKED_UP: Final = "feature"


def model_of(key: Key) -> str | None:
    """Return the model of a series, "" without a model, None for a series of the process."""
    kind, *labels = key
    if kind == WORKER or labels[0] == OTHER:
        return None
    return labels[1 if kind == ANSWERED else 0]


class Meter:
    """Count the requests of this worker in its slot in ``folder``.

    ``route`` and ``model`` must have low cardinality and never be a client's text. A series for
    which the slot has no room is counted as ``OTHER``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slot = Slot(folder)
        self._lock = threading.Lock()
        self._cells = self.slot.cells
        self._worker = self._reserve((WORKER,))
        self._other_answered = self._reserve((ANSWERED, OTHER, OTHER, "0"))
        self._other_invalid = self._reserve((INVALID, OTHER))
        self._other_rules = self._reserve((RULES, OTHER, OTHER))
        self._answered: dict[tuple[str, str, int], int] = {}
        self._cells[self._worker + IN_FLIGHT] = 0.0  # the slot's dead owner has none any more

    def begin(self) -> None:
        """Count a request in flight."""
        with self._lock:
            self._cells[self._worker + IN_FLIGHT] += 1.0

    def end(self) -> None:
        """Count a request as no longer in flight; every ``begin`` needs an ``end``."""
        with self._lock:
            self._cells[self._worker + IN_FLIGHT] -= 1.0

    def answered(self, route: str, model: str, status: int, seconds: float, rows: int) -> None:
        """Count an answer with ``rows`` predictions."""
        labels = (route, model, status)
        place = self._answered.get(labels)
        if place is None:
            place = self._find(labels)
        cells = self._cells
        with self._lock:
            cells[place + bisect_left(BOUNDS_S, seconds)] += 1.0
            cells[place + SECONDS] += seconds
            cells[place + ROWS] += rows

    def invalid(self, model: str) -> None:
        """Count a request whose rows the model's schema refused."""
        with self._lock:
            place = self.slot.place((INVALID, model))
            self._cells[self._other_invalid if place is None else place] += 1.0

    def rules_failed(self, model: str, columns: str, rows: int) -> None:
        """Count rows that break a rule of the training data on ``columns``."""
        with self._lock:
            place = self.slot.place((RULES, model, columns))
            self._cells[self._other_rules if place is None else place] += rows

    def looked_up(self, model: str, view: str, counts: Mapping[str, int]) -> None:
        """Count rows by the outcome of their lookup in a feature view, one cell per outcome."""
        with self._lock:
            place = self.slot.place((LOOKED_UP, model, view))
            if place is not None:
                for at, outcome in enumerate(OUTCOMES):
                    self._cells[place + at] += counts.get(outcome, 0)

    def dropped(self, rows: int) -> None:
        """Count predictions that were answered but could not be logged."""
        with self._lock:
            self._cells[self._worker + DROPPED] += rows

    def close(self) -> None:
        """Leave the slot to another process."""
        with self._lock:
            self.slot.close()

    def _find(self, labels: tuple[str, str, int]) -> int:
        route, model, status = labels
        with self._lock:
            place = self.slot.place((ANSWERED, route, model, str(status)))
            if place is None:
                return self._other_answered  # not cached: a full slot must not grow this dict
            self._answered[labels] = place
            return place

    def _reserve(self, key: Key) -> int:
        place = self.slot.place(key)
        assert place is not None  # noqa: S101  # an empty slot has room for the first four
        return place
