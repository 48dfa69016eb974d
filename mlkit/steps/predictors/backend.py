"""How a version is served, why, and its latency: recorded when the version is registered."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np

from mlkit.steps.inputs.answers import Predictions

_ROWS: Final = (1, 10, 100, 1_000)
_CLEARLY: Final = 0.8
_REPEATS: Final = 5
_ENOUGH_S: Final = 0.05  # time budget per number of rows, for slow estimators

Times = Mapping[str, float]


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """``microseconds`` per request by number of rows, as text because it is a JSON key."""

    name: str
    reason: str
    difference: float = 0.0
    microseconds: Times
    estimator_microseconds: Times

    def slower_from(self) -> int | None:
        """Return the number of rows from which the estimator itself is clearly faster."""
        slower = [
            count
            for count in _ROWS
            if self.estimator_microseconds[str(count)] < _CLEARLY * self.microseconds[str(count)]
        ]
        rest = [count for count in slower if set(_ROWS[_ROWS.index(count) :]) <= set(slower)]
        return min(rest, default=None)


def time_of(ask: Callable[[np.ndarray], Predictions], sample: np.ndarray) -> Times:
    """Return the minimum time of a few calls for 1, 10, 100 and 1,000 rows of ``sample``."""
    found = {}
    for count in _ROWS:
        rows = np.ascontiguousarray(np.resize(sample, (count, sample.shape[1])))
        times: list[float] = []
        while len(times) < _REPEATS and sum(times) < _ENOUGH_S:
            start = time.perf_counter()
            ask(rows)
            times.append(time.perf_counter() - start)
        found[str(count)] = round(min(times) * 1e6, 1)
    return found
