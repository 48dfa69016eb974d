"""Validate one JSON value: return its canonical form, or refuse it with the reason.

For JSON rows; Arrow columns are converted in ``encode``.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from mlkit import epoch
from mlkit.steps.inputs.columns import Kind

Value = float | int | bool | str

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


class UnfitValueError(ValueError):
    """A value that its column does not accept; the text is the reason."""


def number(value: object) -> float:
    """Return a finite float.

    >>> number(3)
    3.0
    """
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise UnfitValueError(f"{_shown(value)} is not a number")
    try:
        result = float(value)
    except OverflowError as error:
        raise UnfitValueError("the number is too large") from error
    if not math.isfinite(result):
        raise UnfitValueError(f"{result} is not a finite number")
    return result


def integer(value: object) -> int:
    """Return a 64-bit integer; ``3.0`` is one, ``3.5`` is not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnfitValueError(f"{_shown(value)} is not a whole number")
    if not INT64_MIN <= value <= INT64_MAX:
        raise UnfitValueError("the whole number does not fit into 64 bits")
    return value


def boolean(value: object) -> bool:
    """Return true or false; numbers and words are not accepted."""
    if not isinstance(value, bool):
        raise UnfitValueError(f"{_shown(value)} is not true or false")
    return value


def category(value: object) -> str:
    """Return a text that UTF-8 can encode."""
    if not isinstance(value, str):
        raise UnfitValueError(f"{_shown(value)} is not a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UnfitValueError("the text has a lone surrogate") from error
    return value


def moment(value: object) -> str:
    """Return a time as ISO text in UTC; a time without a zone is taken as UTC.

    >>> moment("2026-03-01T01:30:00+01:00")
    '2026-03-01T00:30:00.000000Z'
    """
    if not isinstance(value, str):
        raise UnfitValueError(f"{_shown(value)} is not a time as ISO text")
    try:
        parsed = epoch.parse(value)
    except (ValueError, OverflowError) as error:
        raise UnfitValueError(
            f"{_shown(value)} is not a time; write for example 2026-03-01T12:00:00Z"
        ) from error
    return parsed.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


READERS: Final[Mapping[Kind, Callable[[object], Value]]] = {
    "number": number,
    "integer": integer,
    "boolean": boolean,
    "category": category,
    "datetime": moment,
}


def refuse_long(value: object, max_chars: int) -> None:
    """Raise UnfitValueError if ``value`` is a text longer than ``max_chars``."""
    if isinstance(value, str) and len(value) > max_chars:
        raise UnfitValueError(too_long(len(value), max_chars))


def too_long(chars: int, max_chars: int) -> str:
    """Return the problem of a text with too many characters."""
    return f"a text of {chars} characters is longer than {max_chars} (server.max_text_chars)"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool) else type(value).__name__
    return text if len(text) <= 40 else text[:37] + "..."
