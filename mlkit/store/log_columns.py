"""The columns of the prediction log: journal, SQL, Arrow, view and export are derived from these.

A new column needs a field of ``Entry``, one of ``Prediction``, a line of ``COLUMNS``, a migration,
and code that sets its value (``mlkit/server/scoring.py``).
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain, repeat
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Dialect, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from mlkit import epoch
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.registry import ModelVersion

_DOUBLE_BYTES = 8
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.decode


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One answered request in the journal; the lists have one item per row.

    It holds values, not the JSON texts of the database: writing those takes twenty times as long
    (measured), and they can be made during the import. ``features`` are bytes, the rows as
    little-endian doubles, if all values are numbers and none is missing. ``owner`` and ``digest``
    are the client that chose the request id and the fingerprint of its request; both are empty if
    no client chose the id.

    Fields are stored by position, also in journals of earlier releases: a new field comes last, has
    a default, and is followed by another one like ``whole``.
    """

    request_id: str
    model_id: int
    version_id: int
    version: int
    role: str
    served_us: int
    latency_us: int
    ids: list[str]
    entities: list[str | None] | None
    features: list[tuple[Any, ...]] | bytes
    values: list[str | int | float | bool]
    probabilities: list[list[float]] | None
    owner: str = ""
    digest: str = ""
    whole: bool = True  # the last byte of each record, which must not be zero (see record_file)


class Prediction(Base):
    """One prediction."""

    __tablename__ = "prediction"
    __table_args__ = (Index(None, "model_id", "served_at"),)

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(String(36), unique=True)
    request_id: Mapped[str] = mapped_column(String(128), index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    role: Mapped[str] = mapped_column(String(16))
    entity: Mapped[str | None]
    features: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    probabilities: Mapped[str | None] = mapped_column(Text)
    latency_us: Mapped[int]
    served_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Actual(Base):
    """The actual value of one prediction."""

    __tablename__ = "actual"

    prediction_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Column(NamedTuple):
    """A column of the log: its public name, its database column, its journal field."""

    name: str
    stored: InstrumentedAttribute[Any]
    recorded: Callable[[Entry], Any] | None = None
    each: bool = False  # the journal has a list with an item per row
    json: Literal["", "value", "list"] = ""  # the type behind the JSON text in the database


def _features(entry: Entry) -> Iterable[tuple[Any, ...]]:
    """Return the features of each row."""
    if isinstance(entry.features, list):
        return entry.features
    width = len(entry.features) // _DOUBLE_BYTES // len(entry.ids)
    return struct.iter_unpack(f"<{width}d", entry.features)


COLUMNS = (
    Column("seq", Prediction.seq),
    Column("id", Prediction.id, attrgetter("ids"), each=True),
    Column("request_id", Prediction.request_id, attrgetter("request_id")),
    Column("version", ModelVersion.number),
    Column("role", Prediction.role, attrgetter("role")),
    Column("entity", Prediction.entity, attrgetter("entities"), each=True),
    Column("served_at", Prediction.served_at, lambda entry: epoch.from_us(entry.served_us)),
    Column("latency_us", Prediction.latency_us, attrgetter("latency_us")),
    Column("features", Prediction.features, _features, each=True, json="list"),
    Column("value", Prediction.value, attrgetter("values"), each=True, json="value"),
    Column("probabilities", Prediction.probabilities, attrgetter("probabilities"),
           each=True, json="list"),
    Column("actual", Actual.value, json="value"),
    Column("observed_at", Actual.observed_at),
)  # fmt: skip
NAMES = tuple(column.name for column in COLUMNS)
OWN = tuple(column for column in COLUMNS if column.name != "features")  # one column each
_KEYS = (  # database only: users see the version number
    Column("model_id", Prediction.model_id, attrgetter("model_id")),
    Column("version_id", Prediction.model_version_id, attrgetter("version_id")),
)


def to_store(entries: Sequence[Entry], dialect: Dialect) -> dict[str, Iterable[object]]:
    """Return the rows of ``entries`` by column, for the table ``prediction``."""
    counts = [len(entry.ids) for entry in entries]
    return {
        column.stored.key: _to_store(column, map(column.recorded, entries), counts, dialect)
        for column in (*COLUMNS, *_KEYS)
        if column.recorded is not None
    }


def _to_store(
    column: Column, found: Iterable[Any], counts: Sequence[int], dialect: Dialect
) -> Iterable[object]:
    """Return one column for all rows; JSON is encoded in one call.

    One encoder call per entry took as long as the whole insert (measured).
    """
    if not column.each:
        bind = column.stored.type.bind_processor(dialect)
        return chain.from_iterable(map(repeat, map(bind, found) if bind else found, counts))
    optional = column.stored.expression.nullable
    if optional:  # an entry may have no list
        pairs = zip(found, counts, strict=True)
        found = (repeat(None, n) if each is None else each for each, n in pairs)
    items = chain.from_iterable(found)
    if not column.json:
        return items
    texts = _encode_lines(items).decode().split("\n")[:-1]
    return (None if text == "null" else text for text in texts) if optional else texts


def decoded(row: Iterable[Any]) -> dict[str, Any]:
    """Return a row of ``COLUMNS`` by name, with JSON texts decoded."""
    return {
        column.name: _decode(value) if column.json and value is not None else value
        for column, value in zip(COLUMNS, row, strict=True)
    }
