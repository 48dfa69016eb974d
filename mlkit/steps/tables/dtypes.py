"""The five column types, and their names in JSON, in messages and in pandas.

A dtype says how values are stored. The ``Kind`` of a model input is derived from it in
``steps/inputs/columns``: a text is a category there.
"""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

INTEGER: Final = pa.int64()
NUMBER: Final = pa.float64()
BOOLEAN: Final = pa.bool_()
TEXT: Final = pa.string()
DATETIME: Final = pa.timestamp("us", tz="UTC")

NAMES: Final[Mapping[pa.DataType, str]] = {
    INTEGER: "integer", NUMBER: "number", BOOLEAN: "boolean", TEXT: "text", DATETIME: "datetime",
}  # fmt: skip
BY_NAME: Final = {name: dtype for dtype, name in NAMES.items()}
ONE: Final[Mapping[pa.DataType, str]] = {
    INTEGER: "an integer", NUMBER: "a number", BOOLEAN: "true or false", TEXT: "a text",
    DATETIME: "a time",
}  # fmt: skip
PANDAS: Final[Mapping[pa.DataType, str]] = {
    INTEGER: "Int64", NUMBER: "float64", BOOLEAN: "boolean", TEXT: "string[pyarrow]",
    DATETIME: "datetime64[us, UTC]",
}  # fmt: skip


def to_pandas(table: pa.Table, *nullable: pa.DataType) -> Any:
    """Return a frame in which columns of the types ``nullable`` have pandas' nullable types.

    Otherwise the type of such a column depends on whether a value is missing.
    """
    import pandas as pd  # 0.4 s to import, not needed by most of mlkit

    types = {dtype: pd.api.types.pandas_dtype(PANDAS[dtype]) for dtype in nullable}
    return table.to_pandas(types_mapper=types.get)
