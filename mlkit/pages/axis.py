"""Tick marks of axes, round numbers and times, for pages, pictures and the terminal."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

_TINY = 1e-300  # smaller powers of ten are not used
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_STEPS: Final = (
    timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), _HOUR, 3 * _HOUR, 6 * _HOUR,
    12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY,
)  # fmt: skip
_MONTHS: Final = (1, 3, 6, 12, 24, 60, 120, 600, 2400)
_MONTH_DAYS: Final = 31
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """A round time and its label."""

    at: datetime
    label: str


def ticks(top: float, *, most: int, low: float = 0.0) -> list[float]:
    """Return multiples of a round step that cover ``low`` to ``top``.

    The step is 1, 2 or 5 times a power of ten, the smallest that gives at most ``most`` intervals
    between the two, or one more if they are no multiples.

    >>> ticks(17.1, most=5)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    >>> ticks(37, most=5, low=22)
    [20.0, 25.0, 30.0, 35.0, 40.0]
    """
    span = top - low
    if span < _TINY:
        return [low, low + 1.0]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(size * power for size in (1, 2, 5, 10, 20) if size * power * most >= span)
    first = math.floor(low / step)
    last = max(first + 1, math.ceil(top / step))
    return [place * step for place in range(first, last + 1)]


def times(start: datetime, end: datetime, *, most: int) -> list[Moment]:
    """Return at most ``most`` round times from ``start`` to ``end`` with their labels in UTC.

    >>> [moment.label for moment in times(
    ...     datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC), most=6)]
    ['Feb 2026', 'Mar 2026', 'Apr 2026']
    """
    for step in _STEPS:
        if (end - start) / step <= most:
            form = "%-d %b" if step >= _DAY else "%-d %b %H:%M"
            found = [Moment(at, f"{at:{form}}") for at in _even(start, end, step)]
            if len(found) <= most:
                return found
    for months in _MONTHS:
        if (end - start) / (months * _MONTH_DAYS * _DAY) <= most:
            form = "%b %Y" if months < 12 else "%Y"
            found = [Moment(at, f"{at:{form}}") for at in _first_days(start, end, months)]
            if len(found) <= most:
                return found
    return []


def _even(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    at = _MONDAY + math.ceil((start - _MONDAY) / step) * step
    while at <= end:
        yield at
        at += step


def _first_days(start: datetime, end: datetime, months: int) -> Iterator[datetime]:
    """Yield the first days of every ``months``-th month, counted from January of year 0."""
    place = -(-(12 * start.year + start.month - 1) // months) * months
    while True:
        at = datetime(place // 12, place % 12 + 1, 1, tzinfo=UTC)
        if at > end:
            return
        if at >= start:
            yield at
        place += months
