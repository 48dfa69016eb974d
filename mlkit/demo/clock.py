"""The time of the played year: a file that the demo moves on and that all its processes read."""

from datetime import datetime, timedelta
from pathlib import Path

from mlkit.demo import flights

_LAST_JOBS = timedelta(hours=3)  # into the new year; all that is played is over by then


class Clock:
    """The file that ``MLKIT_CLOCK`` names."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def set(self, moment: datetime) -> None:
        """Let it be ``moment``, in one step: nobody ever reads half a time."""
        part = self.file.with_suffix(".part")
        part.write_text(moment.isoformat())
        part.replace(self.file)

    def remove(self) -> None:
        """Let it be now again."""
        self.file.unlink(missing_ok=True)


def shift_to(now: datetime) -> timedelta:
    """Return how many whole days the year must move for its end to be just over at ``now``.

    >>> from datetime import UTC
    >>> shift_to(datetime(2014, 1, 3, 12, 0, tzinfo=UTC))
    datetime.timedelta(days=2)
    >>> shift_to(datetime(2014, 1, 3, 2, 0, tzinfo=UTC))
    datetime.timedelta(days=1)
    """
    return timedelta(days=(now - flights.month_start(13) - _LAST_JOBS).days)
