"""What a model answers: values and probabilities, and when two sets of answers are the same."""

from typing import NamedTuple

import numpy as np

Label = str | int | float | bool


class Predictions(NamedTuple):
    """A value for each row, and for classification the probability of each class."""

    values: list[Label]
    probabilities: np.ndarray | None


def agree(first: Predictions, second: Predictions, *, tolerance: float = 1e-6) -> bool:
    """Tell whether two sets of answers have equal labels and numbers within ``tolerance``."""
    if (first.probabilities is None) != (second.probabilities is None):
        return False
    if first.probabilities is not None and second.probabilities is not None:
        close = np.allclose(first.probabilities, second.probabilities, rtol=0, atol=tolerance)
        return bool(close) and first.values == second.values
    if first.values == second.values:
        return True
    if not all(type(value) is float for value in first.values):
        return False
    return bool(
        np.allclose(
            np.array(first.values, dtype=float),
            np.array(second.values, dtype=float),
            rtol=tolerance,
            atol=tolerance,
            equal_nan=True,
        )
    )
