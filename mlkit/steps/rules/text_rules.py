"""The texts of a column that break a rule about pattern, prefix, suffix or length."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.rules import patterns
from mlkit.steps.rules.schema import Rule

Mask = np.ndarray  # an array of booleans, one per row

PATTERNS: Final = ("str_matches", "str_contains")
NAMES: Final = (*PATTERNS, "str_startswith", "str_endswith", "str_length")


def failing(column: pa.ChunkedArray, rule: Rule) -> Mask | None:
    """Return the rows of a column of texts that break one of the rules of ``NAMES``."""
    if rule.name == "str_length":
        return _of_another_length(column, rule.arguments)
    if rule.name == "str_startswith":
        return _false(pc.starts_with(column, rule.arguments["string"]))
    if rule.name == "str_endswith":
        return _false(pc.ends_with(column, rule.arguments["string"]))
    return _unlike(column, rule)


def _unlike(column: pa.ChunkedArray, rule: Rule) -> Mask:
    at_start = rule.name == "str_matches"
    return ~patterns.found(column, rule.arguments["pattern"], at_start=at_start)


def _of_another_length(column: pa.ChunkedArray, arguments: Mapping[str, Any]) -> Mask | None:
    exact = arguments.get("exact_value")
    low = arguments.get("min_value") if exact is None else exact
    high = arguments.get("max_value") if exact is None else exact
    if _long_enough(column, low, high):
        return None
    lengths = np.asarray(pc.utf8_length(column).fill_null(0).to_numpy())
    mask = np.zeros(len(lengths), dtype=bool)
    if low is not None:
        mask |= lengths < low
    if high is not None:
        mask |= lengths > high
    return mask & column.is_valid().to_numpy() if column.null_count else mask


def _long_enough(column: pa.ChunkedArray, low: int | None, high: int | None) -> bool:
    """Tell whether byte counts alone prove all lengths valid: a character has one to four bytes.

    Counting bytes of a million texts takes 0.2 ms, counting characters 10 ms.
    """
    found = pc.min_max(pc.binary_length(column))
    least, most = found["min"].as_py(), found["max"].as_py()
    if least is None:
        return True
    return (low is None or least > 4 * (low - 1)) and (high is None or most <= high)


def _false(truths: Any) -> Mask:
    """Return where a boolean Arrow array is false; a missing value is not."""
    return ~np.asarray(truths.fill_null(True).to_numpy(zero_copy_only=False))
