"""Online feature store: look up the latest values of an entity, and their age, for a request.

For speed without pandas and ORM: a cache, and one SQL statement per view for what it misses.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from mlkit import epoch
from mlkit.errors import BusyError, ConflictError, InvalidInputError
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import KEY_TYPES, microseconds
from mlkit.store.feature_reader import FeatureReader, Version

Key = int | str
State = Literal["fresh", "stale", "absent"]

_UNKNOWN: Final = object()
_decode = msgspec.json.Decoder(tuple).decode


class Found(NamedTuple):
    """The values of a view for one entity at one moment.

    ``features`` are in the order of ``ViewUse.columns``, as JSON values (a time is ISO 8601 text),
    ready for the request. If the entity is ``stale`` (its last event is older than the ttl) or
    ``absent``, they are the view's ``on_missing``: its defaults or nulls, and None as a whole if
    the view refuses. ``event_us`` is when the values became true, in microseconds since 1970; None
    if absent.
    """

    features: tuple[Any, ...] | None
    event_us: int | None
    state: State

    @property
    def event_at(self) -> datetime | None:
        """When the values became true."""
        return None if self.event_us is None else epoch.from_us(self.event_us)


class _Cache:
    """The cache of one stored view version: rows ``(event_us, values)`` by key.

    An absent row is cached as None. When the values change, the cache is replaced as a whole, so
    that a thread which still reads old values fills the old cache.
    """

    __slots__ = ("cache", "version")

    def __init__(self, version: Version | None) -> None:
        self.version = version
        self.cache: dict[Key, tuple[int, tuple[Any, ...]] | None] = {}


_NOTHING: Final = _Cache(None)


class Online:
    """The online features of a project, for one process and all its threads.

    ``cache_rows`` limits the cached rows per view, 0 disables the cache. Every ``check_s`` seconds
    (the setting ``features.check_s``; 0: at every look-up) one small query sees which views have
    been materialised since, and drops their cache.

        online = Online(project)
        weather = online.reader(use)          # use: a ViewUse, see flows/features/feature_plan.py
        (found,) = weather.lookup(["JFK"])    # Found(features=(3.9,), event_us=..., state="fresh")
        online.close()
    """

    def __init__(
        self, project: Project, *, cache_rows: int = 100_000, check_s: float | None = None
    ) -> None:
        self.project = project
        self.cache_rows = cache_rows
        self._check_s = project.settings.features.check_s if check_s is None else check_s
        self._reader = FeatureReader(project.database)
        self._held: dict[tuple[str, int], _Cache] = {}
        self._next_check = 0.0
        self._checking = threading.Lock()
        self._making_room = threading.Lock()

    def reader(self, use: ViewUse) -> "ViewReader":
        """Return a reader of one view with one policy; reuse it, it costs more than a look-up."""
        return ViewReader(self, use)

    def lookup(
        self, use: ViewUse, keys: Sequence[Key | None], now: datetime | None = None
    ) -> list[Found]:
        """Return the values of each key now; raises like ``ViewReader.lookup``."""
        return self.reader(use).lookup(keys, None if now is None else epoch.to_us(now))

    def close(self) -> None:
        """Close the connections of this process."""
        self._reader.close()

    def now_us(self) -> int:
        """Return the project's time in microseconds since 1970."""
        if self.project.clock_file is None:
            return time.time_ns() // 1000
        return epoch.to_us(self.project.now())

    def held(self, name: str, version: int) -> _Cache:
        """Return the current cache of that view version, after a check for changes."""
        if time.monotonic() >= self._next_check:
            self._check_once()
        return self._held.get((name, version), _NOTHING)

    def fetch(self, held: _Cache, keys: Sequence[Key]) -> dict[Key, Any]:
        """Return rows from the database, and cache them; None for a key without a row."""
        if held.version is None:
            return dict.fromkeys(keys)
        rows = self._reader.values(held.version.id, [str(key) for key in keys])
        width = len(held.version.columns)  # columns added later come after these
        stored = {entity: (event_us, _decode(data)[:width]) for entity, event_us, data in rows}
        found = {key: stored.get(str(key)) for key in keys}
        if self.cache_rows:
            self._hold(held.cache, found)
        return found

    def _hold(self, cache: dict[Key, Any], found: dict[Key, Any]) -> None:
        """Add rows to a cache and evict the oldest, while other threads read it."""
        with self._making_room:
            cache.update(found)
            for key in list(itertools.islice(cache, max(0, len(cache) - self.cache_rows))):
                del cache[key]

    def _check_once(self) -> None:
        """Check for changes unless another thread does: only one request waits for it."""
        wait = not self._held or not self._check_s
        if self._checking.acquire(blocking=wait):
            try:
                if time.monotonic() >= self._next_check:
                    self._check()
            finally:
                self._checking.release()

    def _check(self) -> None:
        """Replace the cache of each view whose values have changed.

        While the database cannot be read, caches stay in use; look-ups check the age of each row.
        """
        try:
            versions = self._reader.versions()
        except BusyError:
            if not self._held:
                raise
            self._next_check = time.monotonic() + self._check_s
            return
        seen = {}
        for version in versions:
            key = (version.name, version.version)
            had = self._held.get(key)
            seen[key] = had if had is not None and had.version == version else _Cache(version)
        self._held = seen  # before other threads may skip the check
        self._next_check = time.monotonic() + self._check_s


class ViewReader:
    """Looks up one view by the policy that a model was trained with."""

    def __init__(self, online: Online, use: ViewUse) -> None:
        self.use = use
        self._online = online
        self._type = KEY_TYPES[use.key]
        self._ttl_us = microseconds(use.ttl)
        self._missing = _missing(use)
        self._places: tuple[tuple[str, ...], list[int] | None] = ((), None)

    def lookup(self, keys: Sequence[Key | None], now_us: int | None = None) -> list[Found]:
        """Return the values of each key at ``now_us`` (microseconds; default: now).

        The key None is always absent. Raises InvalidInputError for a key of another type than the
        view's entity: ``"5"`` is not ``5``. Raises BusyError if the database cannot be read.
        """
        held = self._online.held(self.use.name, self.use.version)
        cache = held.cache
        rows: list[Any] = []
        unknown = False
        for key in keys:
            if type(key) is not self._type and key is not None:
                raise self._wrong(key)
            row = None if key is None else cache.get(key, _UNKNOWN)
            unknown = unknown or row is _UNKNOWN
            rows.append(row)
        if unknown:
            rows = self._completed(held, keys, rows)
        moment = self._online.now_us() if now_us is None else now_us
        return [self._found(held, row, moment) for row in rows]

    def _completed(self, held: _Cache, keys: Sequence[Key | None], rows: list[Any]) -> list[Any]:
        pairs = list(zip(keys, rows, strict=True))
        wanted = list(dict.fromkeys(key for key, row in pairs if row is _UNKNOWN))
        fetched = self._online.fetch(held, wanted)  # type: ignore[arg-type]  # None is never unknown
        return [fetched[key] if row is _UNKNOWN else row for key, row in pairs]  # type: ignore[index]  # None is never unknown

    def _found(self, held: _Cache, row: Any, now_us: int) -> Found:
        if row is None:
            return Found(self._missing, None, "absent")
        event_us, values = row
        if self._ttl_us is not None and now_us - event_us >= self._ttl_us:
            return Found(self._missing, event_us, "stale")
        columns = held.version.columns  # type: ignore[union-attr]  # rows imply a version
        if columns != self.use.columns:
            values = tuple([values[place] for place in self._chosen(columns)])
        return Found(values, event_us, "fresh")

    def _chosen(self, columns: tuple[str, ...]) -> list[int]:
        """Return the positions of this use's columns in the stored rows."""
        known, places = self._places
        if places is None or known != columns:
            gone = [name for name in self.use.columns if name not in columns]
            if gone:
                raise ConflictError(
                    f"feature view '{self.use.name}' v{self.use.version} has no column '{gone[0]}' "
                    "any more (see: mlkit features list)"
                )
            places = [columns.index(name) for name in self.use.columns]
            self._places = (columns, places)
        return places

    def _wrong(self, key: object) -> InvalidInputError:
        return InvalidInputError(
            f"feature view '{self.use.name}': its entity '{self.use.entity}' is "
            f"{'an integer' if self.use.key == 'integer' else 'text'}, not {key!r}"
        )


def _missing(use: ViewUse) -> tuple[Any, ...] | None:
    """Return the values for an entity that has none, None to refuse."""
    if use.on_missing == "refuse":
        return None
    defaults = use.on_missing if isinstance(use.on_missing, dict) else {}
    return tuple(defaults.get(name) for name in use.columns)
