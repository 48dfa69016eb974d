"""What a setting may be: lengths of time, shares, rules such as "2 of 3"; the base of tables."""

from datetime import UTC, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from mlkit.errors import InvalidInputError

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
_UNITS = {"note": "minutes, hours, days or weeks"}
Duration = Annotated[
    str,
    Meta(pattern=r"^[1-9][0-9]*(m|h|d|w)$", examples=["90m", "36h", "7d", "2w"], extra=_UNITS),
]
Reference = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", examples=["training", "seasonal"])
]
OptionalDuration = Annotated[
    str,
    Meta(pattern=r"^([1-9][0-9]*(m|h|d|w)|off)$", examples=["36h", "7d", "off"], extra=_UNITS),
]
InARow = Annotated[int, Meta(ge=1, le=99)]
_LONGEST = timedelta(days=365_250)  # so that what was so long ago has a date
OutOf = Annotated[str, Meta(pattern=r"^[1-9][0-9]? of [1-9][0-9]?$", examples=["2 of 3"])]


def zone(name: str) -> tzinfo:
    """Return the time zone of that name; raises ValueError.

    >>> zone("UTC")
    datetime.timezone.utc
    """
    if name == "UTC":
        return UTC  # needs no files, which a small container may lack
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        raise ValueError(
            f"no time zone '{name}'; write for example Europe/Berlin (a machine without any takes "
            "them from the package tzdata)"
        ) from error


def out_of(text: str) -> tuple[int, int]:
    """Return the two numbers of a rule such as "2 of 3"; raises ValueError if none can meet it.

    >>> out_of("2 of 3")
    (2, 3)
    """
    few, many = map(int, text.split(" of "))
    if few > many:
        raise ValueError(f"'{text}' can never come true; write for example 2 of 3")
    return few, many


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of ``mlkit.toml``."""


def duration(text: str) -> timedelta:
    """Return the length of time that ``text`` names: a whole number of m, h, d or w.

    >>> duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}.get(text[-1:])
    number = text[:-1]
    if unit is None or not (number.isascii() and number.isdigit()) or not number.strip("0"):
        raise InvalidInputError(f"'{text}' is not a duration; write for example 90m, 36h, 7d or 2w")
    try:
        length = timedelta(**{unit: int(number)})
    except (OverflowError, ValueError):  # more days than Python counts, or digits than it reads
        length = timedelta.max
    if length > _LONGEST:
        raise InvalidInputError(f"'{text[:20]}' is longer than a thousand years")
    return length
