"""Format numbers, durations and texts for people."""

from datetime import UTC, datetime, timedelta
from typing import Final

from mlkit.steps import digits

_LONGEST: Final = 80
NOTHING: Final = "–"  # noqa: RUF001  # an intended dash


def length(span: timedelta) -> str:
    """Format a duration in the largest unit of which it has at least two.

    >>> length(timedelta(hours=50)), length(timedelta(minutes=100)), length(timedelta(seconds=20))
    ('2 d', '100 min', '20 s')
    """
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(moment: datetime, now: datetime) -> str:
    """Format how long ago a time was.

    >>> ago(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC))
    '3 d ago'
    """
    return f"{length(now - moment)} ago"


def moment(at: datetime) -> str:
    """Format a time to the minute.

    >>> moment(datetime(2026, 3, 1, 9, 5, tzinfo=UTC))
    '2026-03-01 09:05'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def number(value: float | None) -> str:
    """Format a number with three significant digits, or exactly if that is short.

    >>> number(0.12345), number(31_415.9), number(2e-9), number(None) == NOTHING
    ('0.123', '31,416', '2e-09', True)
    """
    if value is None:
        return NOTHING
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def numbers(*values: float) -> list[str]:
    """Format several numbers with enough digits to tell them apart.

    >>> numbers(40.7128, 40.7306), numbers(31_415.9, 2.5)
    (['40.7128', '40.7306'], ['31,416', '2.5'])
    """
    return [
        f"{value:,.0f}" if text.lstrip("-").isdigit() else text
        for value, text in zip(values, digits.alike(*values), strict=True)
    ]


def percent(share: float | None) -> str:
    """Format a share in percent; a small one above 0 is not shown as 0.

    >>> percent(0.5), percent(0.012), percent(0.0002), percent(0.0)
    ('50%', '1.2%', '<0.1%', '0%')
    """
    if share is None:
        return NOTHING
    points = 100 * share
    if 0 < points < 0.1:
        return "<0.1%"
    return f"{points:.0f}%" if points >= 10 or points == round(points) else f"{points:.1f}%"


def short(text: object, most: int = _LONGEST) -> str:
    """Truncate a text of any length.

    >>> short("a" * 100, 5)
    'aaaa…'
    """
    whole = str(text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def sentence(text: str) -> str:
    """Capitalise the first letter of ``text``.

    >>> sentence("look upstream")
    'Look upstream'
    """
    return text[:1].upper() + text[1:]
