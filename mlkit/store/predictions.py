"""The recent prediction log and the actuals. Features are one JSON array in schema order.

Keyed JSON objects cost ten times as much to read back (measured on 1 M rows x 25 features), so
keys are never stored per row; the views ``log_<model>`` name the columns for people.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit import epoch
from mlkit.store import corrections, requests
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.journal import Entry
from mlkit.store.registry import ModelVersion
from mlkit.store.requests import Request

_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.decode
_FIELDS = (
    "id", "request_id", "model_id", "model_version_id", "role", "entity", "features", "value",
    "probabilities", "latency_us", "served_at",
)  # fmt: skip
_DOUBLE_BYTES = 8
_CHUNK_ROWS = 50_000
_IN_LIMIT = 1000  # parameters of one statement; far below every database's limit


class Prediction(Base):
    """One answered row."""

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
    """What really happened for one prediction."""

    __tablename__ = "actual"

    prediction_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Told(NamedTuple):
    """What really happened, as it is stored: the value is a JSON text."""

    prediction_id: str
    value: str
    observed_at: datetime


class Logged(NamedTuple):
    """One row of the log as it is stored: JSON texts, not yet values."""

    version_id: int
    seq: int
    id: str
    request_id: str
    role: str
    entity: str | None
    served_at: datetime
    latency_us: int
    value: str
    probabilities: str | None
    features: str
    actual: str | None
    observed_at: datetime | None


class Selection(NamedTuple):
    """Which rows of a model's log: from ``start`` until before ``end``, of one version or all."""

    model_id: int
    start: datetime | None = None
    end: datetime | None = None
    version_id: int | None = None
    with_actual: bool = False


def add(s: Session, entries: Sequence[Entry]) -> None:
    """Insert the rows of ``entries``; those that are there already stay as they are.

    One prepared statement with tuples, past the ORM and its parameter handling.
    """
    if not entries:
        return
    connection = s.connection()
    statement = _insert(s, Prediction).on_conflict_do_nothing(index_elements=["id"])
    compiled = statement.compile(dialect=connection.dialect, column_keys=_FIELDS)
    columns = _columns(entries, UtcDateTime().bind_processor(connection.dialect))
    if compiled.positional:
        rows = zip(*map(columns.__getitem__, compiled.positiontup), strict=True)
        connection.exec_driver_sql(str(compiled), list(rows))
    else:
        rows = zip(*columns.values(), strict=True)
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        connection.exec_driver_sql(str(compiled), named)


def unknown_versions(s: Session, entries: Iterable[Entry]) -> set[int]:
    """Return the version ids among ``entries`` that this database does not have."""
    wanted = {entry.version_id for entry in entries}
    return wanted - set(s.scalars(select(ModelVersion.id).where(ModelVersion.id.in_(wanted))))


def of_request(s: Session, request: Request) -> Entry | None:
    """Return what was answered to ``request``, or None if the database does not have it."""
    query = (
        select(Prediction, ModelVersion.number)
        .join(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        .where(
            Prediction.id.between(request.first_id, request.last_id),
            Prediction.request_id == request.request_id,
            Prediction.model_id == request.model_id,
        )
        .order_by(Prediction.id)
    )
    rows = [(row, number) for row, number in s.execute(query)]
    if not rows:
        return None
    first, number = rows[0]
    probabilities = [_decode(row.probabilities) for row, _ in rows if row.probabilities]
    return Entry(
        request_id=request.request_id,
        model_id=request.model_id,
        version_id=first.model_version_id,
        version=number,
        role=first.role,
        served_us=epoch.to_us(first.served_at),
        latency_us=first.latency_us,
        ids=[row.id for row, _ in rows],
        entities=[row.entity for row, _ in rows],
        features=[tuple(_decode(row.features)) for row, _ in rows],
        values=[_decode(row.value) for row, _ in rows],
        probabilities=probabilities or None,
        owner=request.owner,
        digest=request.digest,
    )


def count_by_version(s: Session) -> dict[int, int]:
    """Return how many rows of each model version the database holds."""
    query = select(Prediction.model_version_id, func.count().label("rows"))
    found = s.execute(query.group_by(Prediction.model_version_id))
    return {row.model_version_id: row.rows for row in found}


def entities(s: Session, model_id: int) -> Iterator[tuple[str, str]]:
    """Yield the id and the entity of each row of a model that has one."""
    query = select(Prediction.id, Prediction.entity).where(
        Prediction.model_id == model_id, Prediction.entity.is_not(None)
    )
    for row in s.execute(query.execution_options(yield_per=50_000)):
        yield row.id, str(row.entity)


def forget(s: Session, ids: Sequence[str]) -> None:
    """Delete rows, their actuals, and the request ids under which they were answered."""
    forget_actuals(s, ids)
    for part in _parts(ids):
        query = select(Prediction.model_id, Prediction.request_id, Prediction.id)
        for model_id, request_id, identifier in s.execute(query.where(Prediction.id.in_(part))):
            requests.forget(s, model_id, [(request_id, identifier)])
        s.execute(delete(Prediction).where(Prediction.id.in_(part)))


def find(s: Session, identifier: str) -> Prediction | None:
    """Return the prediction with this id if the database holds it."""
    return s.scalar(select(Prediction).where(Prediction.id == identifier))


def versions_of(s: Session, ids: Sequence[str]) -> dict[str, int]:
    """Return the model version id of each prediction in ``ids`` that the database holds."""
    found: dict[str, int] = {}
    for part in _parts(ids):
        query = select(Prediction.id, Prediction.model_version_id).where(Prediction.id.in_(part))
        found.update((identifier, version_id) for identifier, version_id in s.execute(query))
    return found


def told(s: Session, ids: Sequence[str]) -> list[Told]:
    """Return the actuals of the predictions in ``ids`` that the database has."""
    query = select(Actual.prediction_id, Actual.value, Actual.observed_at)
    return [
        Told(*row)
        for part in _parts(ids)
        for row in s.execute(query.where(Actual.prediction_id.in_(part)))
    ]


def add_actuals(s: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert actuals; one that is there already stands."""
    if rows:
        statement = _insert(s, Actual).on_conflict_do_nothing(index_elements=["prediction_id"])
        s.connection().execute(statement, list(rows))


def replace_actual(s: Session, told: Told, value: str, observed_at: datetime) -> bool:
    """Put another value in the place of an actual; tell whether it was what ``told`` says.

    When the first one came stays on record: it is what the label delay is measured by.
    """
    mine = (Actual.prediction_id == told.prediction_id, Actual.value == told.value)
    done = s.execute(update(Actual).where(*mine).values(value=value, observed_at=observed_at))
    return _count(done) == 1


def actuals_between(s: Session, first: str, last: str) -> list[Told]:
    """Return the actuals of the predictions whose ids lie between two, both included.

    Ids sort by time, so this is one look at the key, however many predictions there are.
    """
    query = select(Actual.prediction_id, Actual.value, Actual.observed_at)
    return [Told(*row) for row in s.execute(query.where(Actual.prediction_id.between(first, last)))]


def actuals_of(s: Session, ids: Sequence[str]) -> dict[str, Actual]:
    """Return the actual of each prediction in ``ids`` that has one."""
    found: dict[str, Actual] = {}
    for part in _parts(ids):
        for actual in s.scalars(select(Actual).where(Actual.prediction_id.in_(part))):
            found[actual.prediction_id] = actual
    return found


def version_numbers(s: Session, model_id: int) -> dict[int, int]:
    """Return the version id behind each version number of a model."""
    query = select(ModelVersion.number, ModelVersion.id).where(ModelVersion.model_id == model_id)
    return {row.number: row.id for row in s.execute(query)}


def logged(s: Session, selection: Selection) -> Iterator[Sequence[Logged]]:
    """Yield the rows in ``selection``, by sequence number, in chunks."""
    query = select(
        Prediction.model_version_id,
        Prediction.seq,
        Prediction.id,
        Prediction.request_id,
        Prediction.role,
        Prediction.entity,
        Prediction.served_at,
        Prediction.latency_us,
        Prediction.value,
        Prediction.probabilities,
        Prediction.features,
        Actual.value,
        Actual.observed_at,
    ).outerjoin(Actual, Actual.prediction_id == Prediction.id)
    query = _where(query, selection)
    if selection.with_actual:
        query = query.where(Actual.prediction_id.is_not(None))
    result = s.execute(query.order_by(Prediction.seq).execution_options(yield_per=_CHUNK_ROWS))
    for part in result.partitions():
        yield [Logged(*row) for row in part]


def newest(s: Session, model_id: int, limit: int) -> list[tuple[Prediction, Actual | None, int]]:
    """Return the last ``limit`` rows of a model, newest first, with actual and version number."""
    query = (
        select(Prediction, Actual, ModelVersion.number)
        .join(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        .outerjoin(Actual, Actual.prediction_id == Prediction.id)
        .where(Prediction.model_id == model_id)
        .order_by(Prediction.seq.desc())
        .limit(limit)
    )
    return [(p, a, number) for p, a, number in s.execute(query)]


def newest_times(s: Session, selection: Selection, limit: int) -> list[datetime]:
    """Return when the last ``limit`` rows in ``selection`` were served, newest first."""
    query = _where(select(Prediction.served_at), selection)
    return list(s.scalars(query.order_by(Prediction.served_at.desc()).limit(limit)))


def last_served(s: Session, model_id: int) -> datetime | None:
    """Return when the newest row of a model in the database was served."""
    query = select(func.max(Prediction.served_at)).where(Prediction.model_id == model_id)
    return s.scalar(query)


def last_actual(s: Session, model_id: int) -> datetime | None:
    """Return when the newest actual of a model in the database was received."""
    query = select(func.max(Actual.received_at)).join(
        Prediction, Prediction.id == Actual.prediction_id
    )
    return s.scalar(query.where(Prediction.model_id == model_id))


def oldest(s: Session) -> dict[int, datetime]:
    """Return when the oldest row of each model was served."""
    query = select(Prediction.model_id, func.min(Prediction.served_at).label("at"))
    return {row.model_id: row.at for row in s.execute(query.group_by(Prediction.model_id))}


def remove(s: Session, selection: Selection, last_seq: int) -> tuple[int, int]:
    """Delete the rows of ``selection`` up to ``last_seq``; return how many rows and actuals."""
    chosen = _where(select(Prediction.id), selection).where(Prediction.seq <= last_seq)
    actuals = s.execute(delete(Actual).where(Actual.prediction_id.in_(chosen)))
    rows = s.execute(
        delete(Prediction).where(
            Prediction.seq.in_(chosen.with_only_columns(Prediction.seq).scalar_subquery())
        )
    )
    return _count(rows), _count(actuals)


def forget_actuals(s: Session, ids: Sequence[str]) -> None:
    """Delete the actuals of predictions that are no longer kept, and what they were before."""
    corrections.forget(s, ids)
    for part in _parts(ids):
        s.execute(delete(Actual).where(Actual.prediction_id.in_(part)))


def _where(query: Any, selection: Selection) -> Any:
    query = query.where(Prediction.model_id == selection.model_id)
    if selection.start is not None:
        query = query.where(Prediction.served_at >= selection.start)
    if selection.end is not None:
        query = query.where(Prediction.served_at < selection.end)
    if selection.version_id is not None:
        query = query.where(Prediction.model_version_id == selection.version_id)
    return query


def _columns(entries: Sequence[Entry], moment: Any) -> dict[str, Iterable[object]]:
    """Return the rows of ``entries``, column by column: JSON is written in one go for all of them.

    An encoder asked for each entry took as long as the whole insert (measured).
    """
    counts = [len(entry.ids) for entry in entries]

    def spread(values: Iterable[object]) -> Iterable[object]:
        return chain.from_iterable(map(repeat, values, counts))

    def listed(lists: Iterable[list[Any] | None]) -> Iterable[Any]:
        pairs = zip(lists, counts, strict=True)
        return chain.from_iterable(repeat(None, n) if each is None else each for each, n in pairs)

    moments: Iterable[object] = (epoch.from_us(e.served_us) for e in entries)
    probabilities = _texts(listed(entry.probabilities for entry in entries))
    return {
        "id": chain.from_iterable(entry.ids for entry in entries),
        "request_id": spread(entry.request_id for entry in entries),
        "model_id": spread(entry.model_id for entry in entries),
        "model_version_id": spread(entry.version_id for entry in entries),
        "role": spread(entry.role for entry in entries),
        "entity": listed(entry.entities for entry in entries),
        "features": _texts(chain.from_iterable(map(_features, entries))),
        "value": _texts(chain.from_iterable(entry.values for entry in entries)),
        "probabilities": (None if text == "null" else text for text in probabilities),
        "latency_us": spread(entry.latency_us for entry in entries),
        "served_at": spread(moments if moment is None else map(moment, moments)),
    }


def _features(entry: Entry) -> Iterable[tuple[Any, ...]]:
    """Return the features of each row."""
    if isinstance(entry.features, list):
        return entry.features
    width = len(entry.features) // _DOUBLE_BYTES // len(entry.ids)
    return struct.iter_unpack(f"<{width}d", entry.features)


def _texts(values: Iterable[object]) -> list[str]:
    """Return each value as JSON."""
    return _encode_lines(values).decode().split("\n")[:-1]


def _count(result: Any) -> int:
    return int(result.rowcount)


def _insert(s: Session, table: Any) -> Any:
    """Return an INSERT of the dialect at hand: both know the same ON CONFLICT."""
    dialect = sqlite if s.get_bind().dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _IN_LIMIT):
        yield ids[at : at + _IN_LIMIT]
