"""Moments as whole microseconds since 1970: how journals, views and columns of times hold them."""

from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
