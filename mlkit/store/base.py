"""Shared by all tables: metadata, the UTC time column, time-ordered ids, counted updates."""

import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Delete, Dialect, MetaData, Update
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from mlkit.errors import DamagedError

_VARIANT = 0b10 << 62  # of RFC 9562
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Parent of every mapped class."""

    metadata = MetaData(naming_convention=_NAMES)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite stores it as sortable text without a zone, always UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True
    python_type = datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone and convert any other to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function that decodes a value; it raises DamagedError for an invalid time."""
        read = super().result_processor(dialect, coltype)

        def checked(value: Any) -> Any:
            try:
                return read(value) if read else value
            except (ValueError, TypeError, AttributeError) as error:
                raise DamagedError(
                    f"a time in the database is not as it was recorded: {str(value)[:40]!r}; "
                    "restore a backup (see: mlkit backup restore)"
                ) from error

        return checked

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's signature
    ) -> datetime | None:
        """Return an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class NotedTime(UtcDateTime):
    """A time for information only: an invalid value is read as 1970."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function that decodes a value; it never fails."""
        read = super().result_processor(dialect, coltype)

        def noted(value: Any) -> Any:
            try:
                return read(value)
            except DamagedError:
                return datetime.fromtimestamp(0, UTC)

        return noted


def new_id(now: datetime) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of ``now`` in milliseconds, 74 random bits.

    Ids sort by creation time, which keeps indexes compact and gives a reader the day of a
    prediction from its id.
    """
    return new_ids(now, 1)[0]


def new_ids(now: datetime, count: int) -> list[str]:
    """Return ``count`` consecutive UUIDv7 from a random start, so that they sort as listed."""
    millis = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    random = int.from_bytes(os.urandom(10), "big")
    first = min(random & ((1 << 62) - 1), (1 << 62) - count)  # no overflow
    head = f"{millis:012x}7{random >> 68:03x}"
    head = f"{head[:8]}-{head[8:12]}-{head[12:]}"
    group, low = divmod(first | _VARIANT, 1 << 48)
    if low + count <= 1 << 48:  # nearly always: only the last twelve digits change
        head = f"{head}-{group:04x}-"
        return [f"{head}{number:012x}" for number in range(low, low + count)]
    tails = [f"{number:016x}" for number in range(first | _VARIANT, (first | _VARIANT) + count)]
    return [f"{head}-{tail[:4]}-{tail[4:]}" for tail in tails]


def id_time(identifier: str) -> datetime:
    """Return the creation time of a UUIDv7; raises ValueError for any other text."""
    value = uuid.UUID(identifier)
    if value.version != 7:  # the version of RFC 9562
        raise ValueError(f"not a UUIDv7: {identifier}")
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)


def changed(s: Session, statement: Update | Delete) -> int:
    """Run an update and return how many rows met its conditions."""
    done = s.execute(statement)
    return int(done.rowcount)  # type: ignore[attr-defined]  # an update gives a CursorResult
