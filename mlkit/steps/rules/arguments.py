"""Parse and validate the arguments of rules in YAML, in the type of the column."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.settings.table import duration
from mlkit.steps import suggestion
from mlkit.steps.rules import patterns
from mlkit.steps.rules.schema import FRESH, MAX_DRIFT, MAX_MISSING, MONOTONE, ROWS, Level, Rule
from mlkit.steps.tables import dtypes

ORDERS: Final = (
    "increasing", "strictly_increasing", "decreasing", "strictly_decreasing",
)  # fmt: skip
_OPTIONS: Final = (
    "check_name", "raise_warning", "ignore_na", "n_failure_cases", "title", "description", "name",
    "error", "determined_by_unique", "groupby", "groups", "statistics", "native", "element_wise",
)  # fmt: skip


class _Form(NamedTuple):
    """The required and the optional arguments of a rule."""

    needed: tuple[str, ...]
    possible: tuple[str, ...] = ()


_FORMS: Final[Mapping[str, _Form]] = {
    "in_range": _Form(("min_value", "max_value"), ("include_min", "include_max")),
    "isin": _Form(("allowed_values",)),
    "notin": _Form(("forbidden_values",)),
    "equal_to": _Form(("value",)),
    "not_equal_to": _Form(("value",)),
    "greater_than": _Form(("min_value",)),
    "greater_than_or_equal_to": _Form(("min_value",)),
    "less_than": _Form(("max_value",)),
    "less_than_or_equal_to": _Form(("max_value",)),
    "str_matches": _Form(("pattern",)),
    "str_contains": _Form(("pattern",)),
    "str_startswith": _Form(("string",)),
    "str_endswith": _Form(("string",)),
    "str_length": _Form((), ("min_value", "max_value", "exact_value")),
    "unique_values_eq": _Form(("values",)),
}
_MOST: Final = 1e300  # far above any effect size, and still a float
_LISTS: Final = ("allowed_values", "forbidden_values", "values")
_TEXTS: Final = ("pattern", "string")


def read(name: str, value: object, kind: pa.DataType | None, level: Level, where: str) -> Rule:
    """Return one of pandera's rules; raises InvalidInputError with ``where``.

    Arguments are given by name, or as the bare value if there is only one (``isin: [a, b]``).
    """
    place = f"{where}, {name}"
    given, options = _given(name, value, place)
    form = _FORMS[name]
    for key in form.needed:
        if given.get(key) is None:
            raise InvalidInputError(f"{place}: '{key}' is missing")
    for key in given:
        if key not in (*form.needed, *form.possible):
            hint = suggestion.hint(key, (*form.needed, *form.possible))
            raise InvalidInputError(f"{place}: '{key}' is not its argument; {hint}")
    arguments = {key: _argument(key, v, kind, place) for key, v in given.items()}
    _sensible(name, arguments, place)
    soft = options.pop("raise_warning", False) is True
    return Rule(name, arguments, "warn" if soft else level, options)


def read_own(name: str, value: object, kind: pa.DataType | None, level: Level, where: str) -> Rule:
    """Return a column rule that pandera does not have; raises InvalidInputError."""
    place = f"{where}: '{name}'"
    if name == MAX_MISSING:
        return Rule(name, {"share": _share(value, place)}, level)
    if name == MAX_DRIFT:
        return Rule(name, {"effect": _positive(value, place)}, level)
    if name == MONOTONE:
        if value not in ORDERS:
            raise InvalidInputError(f"{place} is one of {', '.join(ORDERS)}, not {value!r}")
        if kind not in (None, dtypes.INTEGER, dtypes.NUMBER, dtypes.DATETIME):
            raise InvalidInputError(f"{place} needs numbers or times")
        return Rule(name, {"order": value}, level)
    if kind not in (None, dtypes.DATETIME):
        raise InvalidInputError(f"{place} needs a column of times (dtype: datetime)")
    try:
        duration(str(value))
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from error
    return Rule(FRESH, {"within": str(value)}, level)


def read_whole(tree: Mapping[str, Any], level: Level, where: str) -> Iterator[Rule]:
    """Yield the rules about the number of rows and about drift; raises InvalidInputError."""
    if tree.get(ROWS) is not None:
        place = f"{where}: '{ROWS}'"
        body = tree[ROWS]
        keys = ("min_value", "max_value")
        if not isinstance(body, dict) or not body or not set(body) <= set(keys):
            raise InvalidInputError(f"{place} is for example {{min_value: 100}}, not {body!r}")
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in body.values()):
            raise InvalidInputError(f"{place}: {body!r} are not whole numbers")
        yield Rule(ROWS, {key: body[key] for key in keys if key in body}, level)
    if tree.get(MAX_DRIFT) is not None:
        effect = _positive(tree[MAX_DRIFT], f"{where}: '{MAX_DRIFT}'")
        yield Rule(MAX_DRIFT, {"effect": effect}, level)


def _given(name: str, value: object, place: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments by name, and pandera's options."""
    form = _FORMS[name]
    if not isinstance(value, dict):
        if len(form.needed) != 1:
            wanted = ", ".join(form.needed or form.possible)
            raise InvalidInputError(f"{place} needs its arguments by name: {wanted}")
        return {form.needed[0]: value}, {}
    given = {str(key): v for key, v in value.items()}
    options = given.pop("options", None) or {}
    if not isinstance(options, dict) or not set(options) <= set(_OPTIONS):
        raise InvalidInputError(f"{place}: options are {', '.join(_OPTIONS[:4])}, not {options!r}")
    options |= {key: given.pop(key) for key in _OPTIONS if key in given}
    if set(given) == {"value"} and len(form.needed) == 1:
        given = {form.needed[0]: given["value"]}
    return given, {k: v for k, v in options.items() if k != "check_name"}


def _argument(key: str, value: object, kind: pa.DataType | None, place: str) -> Any:
    if key in _LISTS:
        values = list(value) if isinstance(value, list | str) else None
        if values is None:
            raise InvalidInputError(f"{place}: a list is needed, not {value!r}")
        return [_typed(one, kind, place) for one in values]
    if key in _TEXTS:
        return _text(key, value, place)
    return _typed(value, kind, place)


def _text(key: str, value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{place}: '{value!r}' is not a text; put it in quotes")
    if key == "pattern":
        patterns.check(value, place)
    return value


def _typed(value: object, kind: pa.DataType | None, place: str) -> Any:
    """Convert a value to the type of its column: times to times."""
    if isinstance(value, dict | list | tuple):
        raise InvalidInputError(f"{place}: one value is needed, not {value!r}")
    if isinstance(value, float) and math.isnan(value):
        raise InvalidInputError(f"{place}: nothing compares with NaN; leave it out")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = _long(value, place)
    if kind in (dtypes.INTEGER, dtypes.NUMBER) and isinstance(value, str):
        return _number(value)
    if kind != dtypes.DATETIME:
        return value
    when = moment(value)
    if when is None:
        hint = "" if isinstance(value, str) else "; write for example 2026-01-31"
        raise InvalidInputError(f"{place}: {value!r} is not a time{hint}")
    return when


def moment(value: object) -> datetime | None:
    """Convert a day, a time or its text to UTC; None for anything else."""
    try:
        when = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        return None
    if isinstance(when, date) and not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day, tzinfo=UTC)
    if not isinstance(when, datetime):
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _long(value: int, place: str) -> float:
    """Convert an integer beyond 64 bits to the number that values are compared with."""
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidInputError(
            f"{place}: a number of {len(str(value)):,} digits is beyond every value"
        ) from error


def _number(text: str) -> float | str:
    """Parse a number that YAML 1.1 reads as text (``1e6``); return other text unchanged."""
    try:
        return float(text)
    except ValueError:
        return text


def _sensible(name: str, arguments: Mapping[str, Any], place: str) -> None:
    """Raise InvalidInputError for a rule that no value can pass, or that has no effect."""
    if name == "str_length":
        if not arguments:
            raise InvalidInputError(f"{place}: 'min_value' or 'max_value' is missing")
        if not all(isinstance(v, int | None) for v in arguments.values()):
            raise InvalidInputError(f"{place}: lengths are whole numbers")
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None or high is None:
        return
    try:
        crossed = low > high
    except TypeError as error:
        raise InvalidInputError(f"{place}: {low!r} and {high!r} are of two types") from error
    if crossed:
        raise InvalidInputError(f"{place}: min_value {low!r} is above max_value {high!r}")
    ends = (arguments.get("include_min", True), arguments.get("include_max", True))
    if low == high and not all(ends):
        raise InvalidInputError(f"{place}: no value is between {low!r} and {high!r}")


def _share(value: object, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise InvalidInputError(f"{place} is a share of the rows between 0 and 1, not {value!r}")


def _positive(value: object, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MOST:
        return float(value)
    raise InvalidInputError(f"{place} is an effect size above 0, such as 0.2, not {value!r}")
