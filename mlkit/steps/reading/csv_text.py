"""Write rows as CSV that is read back as the same rows with the same types.

Only texts are quoted, so that "7" stays a text and an empty text is not missing; numbers have a
decimal point, so that 7.0 stays a number.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes


def header(names: Sequence[str]) -> bytes:
    """Return the header line."""
    return (",".join(_quoted(name) for name in names) + "\n").encode()


def lines(batch: pa.RecordBatch) -> bytes:
    r"""Return a line for each row.

    >>> lines(pa.record_batch({"a": ["x", "", None], "b": [7.0, 1e300, None]}))
    b'"x",7.0\n"",1e+300\n,\n'
    """
    if not batch.num_rows:
        return b""
    cells = [pc.fill_null(_cells(column), "") for column in batch.columns]
    whole = pc.binary_join_element_wise(*cells, pa.scalar(","))
    ended = pc.binary_join_element_wise(whole, pa.scalar("\n"), pa.scalar("", pa.string()))
    return "".join(ended.to_pylist()).encode()


def _cells(column: Any) -> Any:
    if column.type == dtypes.TEXT:
        inside = pc.replace_substring(column, '"', '""')
        mark = pa.scalar('"')
        return pc.binary_join_element_wise(mark, inside, mark, pa.scalar(""))
    texts = column.cast(dtypes.TEXT)
    if column.type == dtypes.NUMBER:
        return pc.replace_substring_regex(texts, r"^(-?\d+)$", r"\1.0")
    return texts


def _quoted(name: str) -> str:
    inside = name.replace('"', '""')
    return f'"{inside}"'
