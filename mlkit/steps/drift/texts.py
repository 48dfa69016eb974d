"""Free text as numbers that can drift: how long it is, and how much of its vocabulary is known.

Of names and comments nearly every one is another: the shares of labels say nothing about them.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.drift import violations
from mlkit.steps.tables import dtypes

_DISTINCT: Final = 0.5  # of the values are different ones
_CELLS: Final = 10_000  # are looked at, evenly spread
_CHARACTERS: Final = 2_000  # of each, from its start
_WORDS: Final = 5_000
_BETWEEN: Final = r"[^\pL\pN]+"


def is_free(present: int, distinct: int, most_labels: int) -> bool:
    """Tell whether a column of ``present`` texts is rather written than chosen from a list."""
    return distinct > most_labels and distinct >= _DISTINCT * present


def lengths(column: Any) -> Any:
    """Return how many characters each text has."""
    return pc.utf8_length(column).cast(dtypes.NUMBER)


def vocabulary(column: Any) -> np.ndarray:
    """Return the hashes of the most frequent words of every other text, sorted."""
    words, _ = _words(column.take(pa.array(_chosen(len(column))[::2])))
    counted = pc.value_counts(words)
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    values = counted.field("values").to_pylist()
    first = sorted(range(len(values)), key=lambda i: (-counts[i], values[i]))[:_WORDS]
    return np.unique(violations.hashes([values[i] for i in first]))


def known_share(column: Any, vocabulary: np.ndarray, *, own: bool = False) -> Any:
    """Return the share of each text's words that are in ``vocabulary``, null where none are read.

    ``own`` texts are those that it was made of: only those that had no part in it are read.
    """
    chosen = _chosen(len(column))[1 if own else 0 :: 2 if own else 1]
    words, owners = _words(column.take(pa.array(chosen)))
    encoded = words.dictionary_encode()
    known = np.isin(violations.hashes(encoded.dictionary.to_pylist()), vocabulary)
    found = known[encoded.indices.to_numpy()]
    count = np.bincount(owners, minlength=len(chosen))
    shares = np.full(len(column), np.nan)
    with np.errstate(invalid="ignore"):
        shares[chosen] = np.bincount(owners, weights=found, minlength=len(chosen)) / count
    return pa.chunked_array([pa.array(shares, dtypes.NUMBER, from_pandas=True)])


def _chosen(rows: int) -> np.ndarray:
    """Return the places of at most ``_CELLS`` of so many rows, evenly spread."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _CELLS)).astype(np.int64))


def _words(column: Any) -> tuple[Any, np.ndarray]:
    """Return all words in lower case, one after the other, and which text each is of."""
    texts = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    short = pc.utf8_lower(pc.utf8_slice_codeunits(texts, 0, _CHARACTERS))
    lists = pc.split_pattern_regex(short, _BETWEEN)
    words, owners = pc.list_flatten(lists), pc.list_parent_indices(lists)
    there = pc.not_equal(words, "")
    found: np.ndarray = owners.filter(there).to_numpy()
    return words.filter(there), found
