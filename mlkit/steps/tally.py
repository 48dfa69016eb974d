"""How often the values of a column come, in some of its rows."""

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.masks import Mask


def most_frequent(column: pa.ChunkedArray, rows: Mask, *, most: int = 100) -> dict[str, int]:
    """Return the values in ``rows`` as text with their numbers, the most frequent first.

    >>> most_frequent(pa.chunked_array([["a", "b", "b"]]), [True, True, True])
    {'b': 2, 'a': 1}
    """
    counted = pc.value_counts(column.filter(pa.array(rows))).to_pylist()
    counted.sort(key=lambda pair: (-pair["counts"], str(pair["values"])))
    return {str(pair["values"]): pair["counts"] for pair in counted[:most]}
