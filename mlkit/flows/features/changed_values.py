"""The difference between stored and newly computed feature values: rows to write and to delete."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from mlkit import epoch
from mlkit.steps.features.view import FeatureView
from mlkit.store.features import FeatureValues

if TYPE_CHECKING:
    from mlkit.steps.features.latest import Latest

_LONG_AGO_US = -(1 << 62)

Values = Mapping[str, tuple[int, str]]  # by entity: event time in microseconds, features


class Changes(NamedTuple):
    """The changes from the stored values ``had`` to the computed ones.

    ``gone`` are entities within the ttl that the source no longer has. For those ``taken_back`` the
    source no longer has the newest event, so an older one replaces it.
    """

    had: Values
    changed: Values
    gone: list[str]

    @property
    def rows(self) -> int:
        """The number of rows to write or delete."""
        return len(self.changed) + len(self.gone)

    @property
    def taken_back(self) -> list[str]:
        """The entities whose stored row is replaced by an older one."""
        return [who for who, (us, _) in self.changed.items() if us < self.had.get(who, (us, ""))[0]]

    @property
    def newest(self) -> datetime | None:
        """The time of the newest event after the changes."""
        gone = set(self.gone)
        times = (us for who, (us, _) in {**self.had, **self.changed}.items() if who not in gone)
        newest = max(times, default=None)
        return None if newest is None else epoch.from_us(newest)

    def all_after(self, oldest_us: int | None) -> Values:
        """Return the values after the changes that are newer than ``oldest_us``."""
        gone = set(self.gone)
        return {
            who: (us, data)
            for who, (us, data) in {**self.had, **self.changed}.items()
            if who not in gone and (oldest_us is None or us > oldest_us)
        }


def find(had: Values, found: "Latest", view: FeatureView, now: datetime) -> Changes:
    """Compare the stored values ``had`` with the computed ones.

    For a view over a database, an event is never replaced by an older one: a concurrent, slower
    query may have returned that.
    """
    rows = zip(found.entities, found.event_us, found.data, strict=True)
    is_news = _is_newer if view.is_query_of_a_database else _is_other
    changed = {who: (us, data) for who, us, data in rows if is_news((us, data), had.get(who))}
    known = set(found.entities)
    oldest_us = _LONG_AGO_US if view.ttl_us is None else epoch.to_us(now) - view.ttl_us
    gone = [who for who, (us, _) in had.items() if us > oldest_us and who not in known]
    return Changes(had, changed, gone)


def by_column(values: Values) -> FeatureValues:
    """Return values by column, in the order of the database index."""
    names = sorted(values)
    return FeatureValues(
        names, [values[who][0] for who in names], [values[who][1] for who in names]
    )


def _is_other(value: tuple[int, str], had: tuple[int, str] | None) -> bool:
    return value != had


def _is_newer(value: tuple[int, str], had: tuple[int, str] | None) -> bool:
    return had is None or value[0] > had[0] or (value[0] == had[0] and value[1] != had[1])
