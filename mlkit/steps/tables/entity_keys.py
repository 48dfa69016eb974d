"""Match entity keys of different types: an integer equals only its decimal text.

``"7"`` is 7; ``"007"`` is another entity.
"""

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes

_WHOLE: Final = r"^(0|-?[1-9][0-9]{0,17})$"
_READ: Final = re.compile(_WHOLE)


def as_keys(column: Any, kind: str) -> Any | None:
    """Return the entities of a column as keys of a type, null for one that is no such key.

    None if the column has neither texts nor integers.
    """
    wanted = dtypes.INTEGER if kind == "integer" else dtypes.TEXT
    if column.type == wanted:
        return column
    if column.null_count == len(column):
        return pa.nulls(len(column), wanted)
    if column.type == dtypes.INTEGER:
        return column.cast(dtypes.TEXT)
    if column.type != dtypes.TEXT:
        return None
    whole = pc.match_substring_regex(column, _WHOLE)
    return pc.if_else(whole, column, pa.scalar(None, dtypes.TEXT)).cast(dtypes.INTEGER)


def integer(text: str) -> int | None:
    """Return the integer of a key, None for any other notation.

    >>> integer("7"), integer("007")
    (7, None)
    """
    return int(text) if _READ.match(text) else None
