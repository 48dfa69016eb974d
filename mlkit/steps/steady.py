"""Whether a row's answer depends on the rows around it."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from mlkit.steps.answers import Predictions

_SAMPLE_ROWS: Final = 64
_BATCH_SIZES: Final = (1, 3, 17)


def is_steady(ask: Callable[[np.ndarray], Predictions], sample: np.ndarray) -> bool:
    """Tell whether rows get the same bits in every batch size, first to last place."""
    rows = sample[:_SAMPLE_ROWS]
    whole = ask(rows)
    for size in _BATCH_SIZES:
        parts = [ask(part) for part in _batches(rows, size)]
        if [value for part in parts for value in part.values] != whole.values:
            return False
        if whole.probabilities is not None and not np.array_equal(
            np.vstack([part.probabilities for part in parts if part.probabilities is not None]),
            whole.probabilities,
        ):
            return False
    return True


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
