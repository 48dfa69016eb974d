"""Moments as whole microseconds since 1970: how journals, views and columns of times hold them."""

from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str) -> datetime:
    """Return the moment of an ISO text, in UTC and without a zone taken as UTC; raises ValueError.

    Digits alone are a number and no date, in every file and every request.

    >>> parse("1970-01-01T02:00:00+01:00")
    datetime.datetime(1970, 1, 1, 1, 0, tzinfo=datetime.timezone.utc)
    """
    if text.strip().isdigit():
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_us(moment: datetime) -> int:
    """Return a moment with a zone as microseconds since 1970; what is finer is cut off.

    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """Return the moment, in UTC, that is ``us`` microseconds after 1970 began.

    >>> from_us(1_000_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.timezone.utc)
    """
    return _EPOCH + timedelta(microseconds=us)
