"""OneHotEncoder and OrdinalEncoder as tables: what the encoder itself says of each category.

Asking it once for every category and for an unknown value carries all its settings over: dropped
and infrequent categories, the codes for what is missing or unknown.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from mlkit.errors import InvalidInputError


def compile_encoder(fitted: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a OneHotEncoder or OrdinalEncoder that was fitted to numbers does."""
    categories = [np.asarray(values, dtype=float) for values in fitted.categories_]
    strict = fitted.handle_unknown == "error"
    columns = list(zip(categories, _tables(fitted, categories, strict=strict), strict=True))

    def transform(matrix: np.ndarray) -> np.ndarray:
        parts = []
        for place, (values, table) in enumerate(columns):
            found = _places(matrix[:, place], values)
            if strict and (found == len(values)).any():
                raise InvalidInputError("the model takes no category that was not in training")
            parts.append(table[found])
        return np.hstack(parts)

    return transform


def _tables(fitted: Any, categories: list[np.ndarray], *, strict: bool) -> list[np.ndarray]:
    """Return for each column what its categories become, and in a last row any other value."""
    rows = np.empty((max(len(values) for values in categories) + 1, len(categories)))
    for place, values in enumerate(categories):
        rows[:, place] = values[0] if strict else _unseen(values)
        rows[: len(values), place] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that unknown values become zeros is what is asked for
        encoded = fitted.transform(rows)
    encoded = np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, dtype=float)
    one_hot = isinstance(fitted, OneHotEncoder)
    widths = fitted._n_features_outs if one_hot else [1] * len(categories)  # noqa: SLF001  # behind the parity check
    parts = np.split(encoded, np.cumsum(widths)[:-1], axis=1)
    return [part[: len(values) + 1] for part, values in zip(parts, categories, strict=True)]


def _unseen(values: np.ndarray) -> float:
    return float(np.nextafter(values[~np.isnan(values)].max(initial=0.0), np.inf))


def _places(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the place of each of ``column`` in the sorted ``values``, their number if in none.

    NaN is a value like others and sorted last.
    """
    places = np.minimum(np.searchsorted(values, column), len(values) - 1)
    nearest = values[places]
    same = (nearest == column) | (np.isnan(nearest) & np.isnan(column))
    return np.where(same, places, len(values))
