"""The YAML form of a schema: what the user edits, read with care and written for reading."""

import difflib
from collections.abc import Mapping
from typing import Any

import pandera.pandas as pandera
import pyarrow as pa
import yaml
from pandera import errors
from pandera.io import pandas_io

from mlkit.errors import InvalidInputError
from mlkit.steps import casts

DTYPES = {
    casts.INTEGER: "Int64",
    casts.NUMBER: "float64",
    casts.BOOLEAN: "boolean",
    casts.TEXT: "string[pyarrow]",
    casts.TIME: "datetime64[us, UTC]",
}
_WORDS = {
    "int": casts.INTEGER,
    "uint": casts.INTEGER,
    "float": casts.NUMBER,
    "double": casts.NUMBER,
    "number": casts.NUMBER,
    "bool": casts.BOOLEAN,
    "str": casts.TEXT,
    "text": casts.TEXT,
    "object": casts.TEXT,
    "datetime": casts.TIME,
    "timestamp": casts.TIME,
}
_COLUMN_KEYS = (
    "dtype", "nullable", "required", "unique", "title", "description", "checks",
)  # fmt: skip
_CHECKS = (
    "in_range", "isin", "notin", "equal_to", "not_equal_to", "greater_than", "less_than",
    "greater_than_or_equal_to", "less_than_or_equal_to", "str_matches", "str_contains",
    "str_startswith", "str_endswith", "str_length", "unique_values_eq",
)  # fmt: skip
_SCHEMA_KEYS = (
    "schema_type", "version", "api", "columns", "checks", "unique", "strict", "name", "title",
    "description", "index", "coerce", "dtype", "ordered", "metadata", "dataframe_library",
)  # fmt: skip
_REFUSALS = (errors.SchemaDefinitionError, errors.SchemaInitError, errors.SchemaError)
_HEAD = """\
# What every later version of this dataset must be like. Edit freely; it is yours.
# A column: dtype (Int64, float64, boolean, string, datetime), nullable, required, unique, and
# rules: in_range, isin, notin, greater_than, less_than, str_matches, str_length, ...
"""


def to_yaml(schema: pandera.DataFrameSchema) -> str:
    """Return the schema as the text that a user edits."""
    return f"{_HEAD}{schema.to_yaml()}"


def from_yaml(text: str, origin: str) -> pandera.DataFrameSchema:
    """Return the schema in ``text``; raises InvalidInputError with ``origin`` and the place."""
    tree = _parse(text, origin)
    for name, body in tree["columns"].items():
        _check_column(name, body, origin)
    columns = {str(name): _normal(name, body, origin) for name, body in tree["columns"].items()}
    try:
        schema: pandera.DataFrameSchema = pandas_io.deserialize_schema(  # type: ignore[no-untyped-call]  # pandera's io is untyped
            {**tree, "columns": columns}
        )
    except (TypeError, ValueError, KeyError, AttributeError, *_REFUSALS) as error:
        raise InvalidInputError(f"{origin}: {str(error)[:300]}") from error
    return schema


def arrow_type(dtype: object) -> pa.DataType | None:
    """Return the type that a schema's ``dtype`` (ours, pandas' or plain words) stands for.

    >>> arrow_type("Int64") == arrow_type("integer") == pa.int64()
    True
    """
    if dtype is None:
        return None
    word = str(dtype).lower()
    return next((kind for start, kind in _WORDS.items() if word.startswith(start)), None)


def _parse(text: str, origin: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{origin} is not valid YAML: {_place(error)}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("columns"), dict):
        raise InvalidInputError(f"{origin} has no 'columns:' with a name and rules for each column")
    for key in tree:
        _known(str(key), _SCHEMA_KEYS, f"{origin}: '{key}'")
    return {**tree, "coerce": False, "index": None}


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


def _check_column(name: object, body: object, origin: str) -> None:
    if not isinstance(body, dict):
        raise InvalidInputError(f"{origin}, column '{name}': expected rules such as 'dtype: Int64'")
    tags = ("coerce", "regex", "report_duplicates", "drop_invalid_rows", "default", "metadata")
    for key in body:
        _known(str(key), (*_COLUMN_KEYS, *_CHECKS, *tags), f"{origin}, column '{name}': '{key}'")
    checks = body.get("checks") or {}
    names = checks if isinstance(checks, dict) else [_check_name(check) for check in checks]
    for check in names:
        _known(str(check), _CHECKS, f"{origin}, column '{name}': '{check}'")


def _check_name(check: object) -> str:
    options = check.get("options", {}) if isinstance(check, dict) else {}
    return str(options.get("check_name", check))


def _known(word: str, words: tuple[str, ...], where: str) -> None:
    if word not in words:
        near = difflib.get_close_matches(word, words, n=1)
        hint = f"did you mean '{near[0]}'" if near else f"known: {', '.join(words)}"
        raise InvalidInputError(f"{where} is not a rule; {hint}")


def _normal(name: object, body: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the column's rules with the dtype spelled as ours, for nothing is coerced here."""
    kept = {key: value for key, value in body.items() if key not in ("coerce", "regex", "default")}
    word = body.get("dtype")
    if word is None:
        return kept
    kind = arrow_type(word)
    if kind is None:
        raise InvalidInputError(
            f"{origin}, column '{name}': dtype '{word}' is unknown; "
            f"use one of {', '.join(DTYPES.values())}"
        )
    return {**kept, "dtype": DTYPES[kind]}
