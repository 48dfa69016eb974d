"""The YAML form of a schema, for the user to edit: strict parser and readable writer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps import suggestion
from mlkit.steps.rules import arguments, expressions, rule_tree, yaml_text
from mlkit.steps.rules.schema import (
    CHECK,
    FRESH,
    KEY,
    MAX_DRIFT,
    MAX_MISSING,
    MONOTONE,
    NOT_NULLABLE,
    ROWS,
    UNIQUE,
    UNIQUE_TOGETHER,
    VALUE_RULES,
    ColumnRules,
    Level,
    Rule,
    Schema,
)
from mlkit.steps.tables import dtypes

_WORDS = {
    "int": dtypes.INTEGER,
    "uint": dtypes.INTEGER,
    "float": dtypes.NUMBER,
    "double": dtypes.NUMBER,
    "number": dtypes.NUMBER,
    "bool": dtypes.BOOLEAN,
    "str": dtypes.TEXT,
    "text": dtypes.TEXT,
    "object": dtypes.TEXT,
    "datetime": dtypes.DATETIME,
    "timestamp": dtypes.DATETIME,
}
_OWN: Final = (MAX_MISSING, MONOTONE, FRESH, MAX_DRIFT)
_COLUMN_RULES: Final = ("nullable", "unique", *_OWN, *VALUE_RULES)
_COLUMN_KEYS: Final = (
    "dtype", "required", "title", "description", "checks", "warn", *_COLUMN_RULES,
)  # fmt: skip
_TAGS: Final = (
    "name", "coerce", "regex", "report_duplicates", "drop_invalid_rows", "default", "metadata",
)  # fmt: skip
_RULES: Final = ("checks", "unique", "keys", ROWS, MAX_DRIFT)
_SCHEMA_KEYS: Final = ("columns", "strict", "quarantine", "warn", *_RULES)
_SCHEMA_TAGS: Final = (
    "schema_type", "version", "api", "name", "title", "description", "index", "coerce", "dtype",
    "ordered", "metadata", "dataframe_library", "report_duplicates", "unique_column_names",
    "add_missing_columns", "drop_invalid_rows",
)  # fmt: skip
_HEAD = """\
# What every later version of this dataset must be like. Edit freely; it is yours.
# A column: dtype (Int64, float64, boolean, string, datetime), nullable, required, unique, and
# rules: in_range, isin, notin, greater_than, less_than, str_matches, str_length, ...
# max_missing: 0.05, monotone: increasing, fresh: 2d (newest time), max_drift: 0.2.
# Beside 'columns:', of whole rows and of all: checks: ["end >= start"], keys: [[order, line]],
# rows: {min_value: 100}, max_drift: 0.2, quarantine: 0.01 (set aside up to 1 % failing rows).
# A rule under 'warn:' (of a column, or of the whole) warns and refuses nothing.
"""


def to_yaml(schema: Schema) -> str:
    """Return the YAML of a schema; without mlkit's own rules it is in pandera's form."""
    tree = {"schema_type": "dataframe", "api": "pandas", **rule_tree.of(schema)}
    return _HEAD + yaml_text.dump(tree)


def from_yaml(text: str, origin: str) -> Schema:
    """Parse the schema in ``text``; raises InvalidInputError with ``origin`` and position."""
    tree = _parse(text, origin)
    columns = {
        str(name): _column(body, f"{origin}, column '{name}'")
        for name, body in tree["columns"].items()
    }
    everywhere = _old_checks(tree, f"{origin}: checks")
    columns = {
        name: ColumnRules(c.dtype, c.required, (*c.rules, *everywhere))
        for name, c in columns.items()
    }
    rules = _rules(tree, columns, "error", origin)
    soft = _part(tree, "warn", _RULES, origin)
    if isinstance(soft.get("checks"), dict):
        raise InvalidInputError(f'{origin}, warn: checks: write texts such as "end >= start"')
    rules += _rules(soft, columns, "warn", f"{origin}, warn")
    strict = tree.get("strict") is True
    return Schema(columns, tuple(rules), strict, _quarantine(tree.get("quarantine"), origin))


def arrow_type(dtype: object) -> pa.DataType | None:
    """Return the type of a schema's ``dtype`` (mlkit's, pandas' or a plain word).

    >>> arrow_type("Int64") == arrow_type("integer") == pa.int64()
    True
    """
    if dtype is None:
        return None
    word = str(dtype).lower()
    return next((kind for start, kind in _WORDS.items() if word.startswith(start)), None)


def _parse(text: str, origin: str) -> dict[str, Any]:
    tree = yaml_text.load(text, origin)
    if not isinstance(tree, dict) or not isinstance(tree.get("columns"), dict):
        raise InvalidInputError(f"{origin} has no 'columns:' with a name and rules for each column")
    _known(tree, _SCHEMA_KEYS, _SCHEMA_TAGS, f"{origin}:")
    return tree


def _known(tree: Mapping[Any, Any], words: Sequence[str], tags: Sequence[str], where: str) -> None:
    for key in tree:
        if key not in words and key not in tags:
            hint = suggestion.hint(str(key), words)
            raise InvalidInputError(f"{where} '{key}' is not a rule; {hint}")


def _part(tree: Mapping[str, Any], key: str, words: Sequence[str], where: str) -> Mapping[str, Any]:
    """Return a nested mapping, an empty one if it is missing."""
    body = tree.get(key)
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidInputError(f"{where}: '{key}:' expects rules such as '{words[-1]}'")
    _known(body, words, (), f"{where}, {key}:")
    return body


def _column(body: object, where: str) -> ColumnRules:
    if not isinstance(body, dict):
        raise InvalidInputError(f"{where}: expected rules such as 'dtype: Int64'")
    _known(body, _COLUMN_KEYS, _TAGS, f"{where}:")
    word = body.get("dtype")
    kind = arrow_type(word)
    if word is not None and kind is None:
        listed = ", ".join(dtypes.PANDAS.values())
        raise InvalidInputError(f"{where}: dtype '{word}' is unknown; use one of {listed}")
    soft = _part(body, "warn", _COLUMN_RULES, where)
    rules = [*_column_rules(body, kind, "error", where)]
    rules += _column_rules(soft, kind, "warn", f"{where}, warn")
    if not {"nullable", MAX_MISSING} & {*body, *soft}:
        rules.insert(0, Rule(NOT_NULLABLE))  # as in pandera, unless a share may be missing
    dtype = None if kind is None else dtypes.PANDAS[kind]
    return ColumnRules(dtype, bool(body.get("required", True)), tuple(rules))


def _column_rules(
    body: Mapping[str, Any], kind: pa.DataType | None, level: Level, where: str
) -> Iterator[Rule]:
    for key, name in (("nullable", NOT_NULLABLE), ("unique", UNIQUE)):
        value = body.get(key)
        if value not in (True, False, None):
            raise InvalidInputError(f"{where}: '{key}' is true or false, not {value!r}")
        if value is (key == "unique"):
            yield Rule(name, level=level)
    for name in VALUE_RULES:
        if name in body:
            yield arguments.read(name, body[name], kind, level, where)
    yield from _listed(body.get("checks"), kind, level, where)
    for name in _OWN:
        if body.get(name) is not None:
            yield arguments.read_own(name, body[name], kind, level, where)


def _listed(checks: object, kind: pa.DataType | None, level: Level, where: str) -> Iterator[Rule]:
    """Yield the rules under ``checks:``, an older form of pandera."""
    for name, value in _pairs(checks, where):
        if name not in VALUE_RULES:
            hint = suggestion.hint(name, VALUE_RULES)
            raise InvalidInputError(f"{where}: '{name}' is not a rule; {hint}")
        yield arguments.read(name, value, kind, level, where)


def _pairs(checks: object, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(checks, dict):
        yield from ((str(name), value) for name, value in checks.items())
    elif isinstance(checks, list):
        for check in checks:
            options = check.get("options") if isinstance(check, dict) else None
            name = options.get("check_name") if isinstance(options, dict) else check
            yield str(name), check
    elif checks is not None:
        raise InvalidInputError(f"{where}: 'checks' expects rules by name")


def _old_checks(tree: Mapping[str, Any], where: str) -> tuple[Rule, ...]:
    """Return pandera's checks of a whole frame as rules of every column."""
    checks = tree.get("checks")
    if isinstance(checks, list):
        checks = [check for check in checks if isinstance(check, dict)]
    return tuple(_listed(checks, None, "error", where)) if not isinstance(checks, str) else ()


def _rules(
    tree: Mapping[str, Any], columns: Mapping[str, ColumnRules], level: Level, where: str
) -> list[Rule]:
    """Return the rules about whole rows and about the whole table."""
    rules = []
    for text in _texts(tree.get("checks"), where):
        _check_text(text, columns, where)
        rules.append(Rule(CHECK, {"text": text}, level))
    unique = _names(tree.get("unique"), columns, f"{where}: unique")
    if unique:
        rules.append(Rule(UNIQUE_TOGETHER, {"columns": unique}, level))
    keys = tree.get("keys")
    for key in _as_list(keys, f"{where}: keys"):
        names = _names(key, columns, f"{where}: keys")
        rules.append(Rule(KEY, {"columns": names}, level))
    rules += arguments.read_whole(tree, level, where)
    return rules


def _texts(checks: object, where: str) -> Iterator[str]:
    """Yield the checks across columns; those in pandera's form are column rules."""
    for text in [checks] if isinstance(checks, str) else checks if isinstance(checks, list) else ():
        if isinstance(text, str):
            yield text
        elif not isinstance(text, dict):
            raise InvalidInputError(
                f"{where}: checks: '{text}' is no text such as \"end >= start\""
            )


def _check_text(text: str, columns: Mapping[str, ColumnRules], where: str) -> None:
    """Raise InvalidInputError if ``text`` is no rule about these columns."""
    try:
        named = expressions.columns_of(text)
        for name in named:
            if name not in columns:
                hint = suggestion.hint(name, list(columns))
                raise InvalidInputError(f"'{text}': there is no column '{name}'; {hint}")
        if all(columns[name].dtype for name in named):
            types = {name: arrow_type(columns[name].dtype) for name in named}
            expressions.compile_text(text, types)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: checks: {error}") from error


def _as_list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise InvalidInputError(f"{where} expects a list such as [[order, line]], not {value!r}")


def _names(value: object, columns: Mapping[str, ColumnRules], where: str) -> list[str]:
    listed = [value] if isinstance(value, str) else _as_list(value, where)
    for name in listed:
        if str(name) not in columns:
            hint = suggestion.hint(str(name), list(columns))
            raise InvalidInputError(f"{where}: there is no column '{name}'; {hint}")
    return [str(name) for name in listed]


def _quarantine(value: object, origin: str) -> float:
    if value in (None, False):
        return 0.0
    if isinstance(value, bool):
        return 1.0
    if isinstance(value, int | float) and 0 < value <= 1:
        return float(value)
    raise InvalidInputError(
        f"{origin}: 'quarantine' is the largest share of rows to set aside, such as 0.01, "
        f"not {value!r}"
    )
