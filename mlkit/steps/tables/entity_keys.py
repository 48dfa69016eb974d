"""Keys of entities: one that is a whole number here and text there is the same only digit by digit.

``"7"`` is 7; ``"007"`` is somebody else.
"""

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.tables import dtypes

_WHOLE: Final = r"^(0|-?[1-9][0-9]{0,17})$"
_READ: Final = re.compile(_WHOLE)


def as_keys(column: Any, kind: str) -> Any | None:
    """Return the entities of a column as keys of a kind, null for one that is none of that kind.

    None if the column holds neither texts nor whole numbers.
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
    """Return the whole number that a key is, None if it is written otherwise.

    >>> integer("7"), integer("007")
    (7, None)
    """
    return int(text) if _READ.match(text) else None
