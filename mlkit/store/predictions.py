"""The recent prediction log and the actuals. Features are one JSON array in schema order.

JSON objects with keys take ten times as long to read (measured on 1 M rows x 25 features), so keys
are never stored per row; the views ``log_<model>`` name the columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mlkit.store import corrections, log_columns, requests
from mlkit.store.log_columns import Actual, Entry, Prediction
from mlkit.store.registry import ModelVersion
from mlkit.store.requests import Request

_CHUNK_ROWS = 50_000
_IN_LIMIT = 1000  # parameters per statement; far below all databases' limits


class StoredActual(NamedTuple):
    """A stored actual; the value is a JSON text."""

    prediction_id: str
    value: str
    observed_at: datetime


class Selection(NamedTuple):
    """Rows of a model's log: from ``start`` until before ``end``, of one version or all."""

    model_id: int
    start: datetime | None = None
    end: datetime | None = None
    version_id: int | None = None
    with_actual: bool = False


def add(s: Session, entries: Sequence[Entry]) -> None:
    """Insert the rows of ``entries``; existing rows are not changed.

    One prepared statement with tuples, without the ORM and its parameter handling.
    """
    if not entries:
        return
    connection = s.connection()
    statement = _insert(s, Prediction).on_conflict_do_nothing(index_elements=["id"])
    columns = log_columns.to_store(entries, connection.dialect)
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(columns))
    if compiled.positional:
        rows = zip(*map(columns.__getitem__, compiled.positiontup), strict=True)
        connection.exec_driver_sql(str(compiled), list(rows))
    else:
        rows = zip(*columns.values(), strict=True)
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        connection.exec_driver_sql(str(compiled), named)


def unknown_versions(s: Session, entries: Iterable[Entry]) -> set[int]:
    """Return the version ids of ``entries`` that this database does not have."""
    wanted = {entry.version_id for entry in entries}
    return wanted - set(s.scalars(select(ModelVersion.id).where(ModelVersion.id.in_(wanted))))


def of_request(s: Session, request: Request) -> Sequence[Row[Any]]:
    """Return the rows of ``request``; none if the database no longer has them."""
    query = _rows().where(
        Prediction.id.between(request.first_id, request.last_id),
        Prediction.request_id == request.request_id,
        Prediction.model_id == request.model_id,
    )
    return s.execute(query.order_by(Prediction.id)).all()


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
    """Delete rows, their actuals, and their request ids."""
    forget_actuals(s, ids)
    for part in _parts(ids):
        query = select(Prediction.model_id, Prediction.request_id, Prediction.id)
        for model_id, request_id, identifier in s.execute(query.where(Prediction.id.in_(part))):
            requests.forget(s, model_id, [(request_id, identifier)])
        s.execute(delete(Prediction).where(Prediction.id.in_(part)))


def find(s: Session, identifier: str) -> Prediction | None:
    """Return the prediction with this id, None if the database does not have it."""
    return s.scalar(select(Prediction).where(Prediction.id == identifier))


def versions_of(s: Session, ids: Sequence[str]) -> dict[str, int]:
    """Return the model version id of each prediction in ``ids`` that the database holds."""
    found: dict[str, int] = {}
    for part in _parts(ids):
        query = select(Prediction.id, Prediction.model_version_id).where(Prediction.id.in_(part))
        found.update((identifier, version_id) for identifier, version_id in s.execute(query))
    return found


def stored_actuals(s: Session, ids: Sequence[str]) -> list[StoredActual]:
    """Return the actuals of the predictions in ``ids`` that the database has."""
    query = select(Actual.prediction_id, Actual.value, Actual.observed_at)
    return [
        StoredActual(*row)
        for part in _parts(ids)
        for row in s.execute(query.where(Actual.prediction_id.in_(part)))
    ]


def add_actuals(s: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert actuals; existing ones are not changed."""
    if rows:
        statement = _insert(s, Actual).on_conflict_do_nothing(index_elements=["prediction_id"])
        s.connection().execute(statement, list(rows))


def replace_actual(s: Session, known: StoredActual, value: str, observed_at: datetime) -> bool:
    """Replace the value of an actual if it is still ``known``; return whether it was.

    The arrival time of the first value is kept: the label delay is measured by it.
    """
    unchanged = (Actual.prediction_id == known.prediction_id, Actual.value == known.value)
    done = s.execute(update(Actual).where(*unchanged).values(value=value, observed_at=observed_at))
    return _count(done) == 1


def actuals_between(s: Session, first: str, last: str) -> list[StoredActual]:
    """Return the actuals of the predictions whose ids lie between two, both included.

    Ids sort by time, so this is one range scan of the primary key.
    """
    query = select(Actual.prediction_id, Actual.value, Actual.observed_at)
    between = query.where(Actual.prediction_id.between(first, last))
    return [StoredActual(*row) for row in s.execute(between)]


def actuals_of(s: Session, ids: Sequence[str]) -> dict[str, Actual]:
    """Return the actual of each prediction in ``ids`` that has one."""
    found: dict[str, Actual] = {}
    for part in _parts(ids):
        for actual in s.scalars(select(Actual).where(Actual.prediction_id.in_(part))):
            found[actual.prediction_id] = actual
    return found


def version_numbers(s: Session, model_id: int) -> dict[int, int]:
    """Return the version ids of a model by version number."""
    query = select(ModelVersion.number, ModelVersion.id).where(ModelVersion.model_id == model_id)
    return {row.number: row.id for row in s.execute(query)}


def logged(s: Session, selection: Selection) -> Iterator[Sequence[Row[Any]]]:
    """Yield the rows in ``selection``, by sequence number, in chunks."""
    query = _where(_rows(), selection)
    if selection.with_actual:
        query = query.where(Actual.prediction_id.is_not(None))
    result = s.execute(query.order_by(Prediction.seq).execution_options(yield_per=_CHUNK_ROWS))
    yield from result.partitions()


def newest(s: Session, model_id: int, limit: int) -> Sequence[Row[Any]]:
    """Return the last ``limit`` rows of a model, newest first."""
    query = _rows().where(Prediction.model_id == model_id)
    return s.execute(query.order_by(Prediction.seq.desc()).limit(limit)).all()


def newest_times(s: Session, selection: Selection, limit: int) -> list[datetime]:
    """Return the serving times of the last ``limit`` rows in ``selection``, newest first."""
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
    """Delete the actuals of deleted predictions, and their corrections."""
    corrections.forget(s, ids)
    for part in _parts(ids):
        s.execute(delete(Actual).where(Actual.prediction_id.in_(part)))


def _rows() -> Any:
    """Return a query of ``COLUMNS``; outer joins make the planner start at the predictions."""
    return (
        select(*(column.stored.label(column.name) for column in log_columns.COLUMNS))
        .select_from(Prediction)
        .outerjoin(ModelVersion, ModelVersion.id == Prediction.model_version_id)
        .outerjoin(Actual, Actual.prediction_id == Prediction.id)
    )


def _where(query: Any, selection: Selection) -> Any:
    query = query.where(Prediction.model_id == selection.model_id)
    if selection.start is not None:
        query = query.where(Prediction.served_at >= selection.start)
    if selection.end is not None:
        query = query.where(Prediction.served_at < selection.end)
    if selection.version_id is not None:
        query = query.where(Prediction.model_version_id == selection.version_id)
    return query


def _count(result: Any) -> int:
    return int(result.rowcount)


def _insert(s: Session, table: Any) -> Any:
    """Return the INSERT of the present dialect; both support the same ON CONFLICT."""
    dialect = sqlite if s.get_bind().dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _IN_LIMIT):
        yield ids[at : at + _IN_LIMIT]
