"""The online store: the latest values of every feature view, one compact row per entity.

A view's rows are a *set*. A few changes are written to the live set in one transaction; many to a
new set, which then replaces it in one transaction. So a reader sees either the old values or the
new ones.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime, changed

_FIELDS: Final = ("set_id", "entity", "event_us", "data")
_IN_LIMIT: Final = 1000  # parameters per statement; far below all databases' limits
_WIDE = BigInteger().with_variant(Integer, "sqlite")


class StoredView(Base):
    """One materialised version of a feature view, and its source.

    ``set_id`` names its live rows; ``changes`` increases whenever they change, so that caches
    notice. ``next_event_at`` is the time of the first future event in its source.
    """

    __tablename__ = "feature_view"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    entity: Mapped[str]
    key: Mapped[str] = mapped_column(String(16))
    columns: Mapped[list[str]] = mapped_column(JSON)
    types: Mapped[list[str]] = mapped_column(JSON)
    ttl: Mapped[str | None]
    digest: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str | None]
    source_sha256: Mapped[str | None] = mapped_column(String(64))
    set_id: Mapped[int | None]
    changes: Mapped[int] = mapped_column(default=0)
    rows: Mapped[int] = mapped_column(default=0)
    newest_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    materialized_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def reference(self) -> str:
        """The display name: ``name v1``."""
        return f"{self.name} v{self.version}"


class FeatureSet(Base):
    """The present or next values of one view; a set that no view names is a leftover."""

    __tablename__ = "feature_set"

    id: Mapped[int] = mapped_column(primary_key=True)
    view_id: Mapped[int] = mapped_column(ForeignKey("feature_view.id"), index=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FeatureValue(Base):
    """The latest values of one entity: a JSON array in the order of the view's columns."""

    __tablename__ = "feature_value"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  # SQLAlchemy's form

    set_id: Mapped[int] = mapped_column(
        ForeignKey("feature_set.id"), primary_key=True, autoincrement=False
    )
    entity: Mapped[str] = mapped_column(Text, primary_key=True)
    event_us: Mapped[int] = mapped_column(_WIDE)
    data: Mapped[str] = mapped_column(Text)


class FeatureValues(NamedTuple):
    """Stored values by column; ``event_us`` is in microseconds since 1970."""

    entities: Sequence[str]
    event_us: Sequence[int]
    data: Sequence[str]

    def part(self, start: int, stop: int) -> "FeatureValues":
        """Return the rows from ``start`` until before ``stop``."""
        piece = slice(start, stop)
        return FeatureValues(self.entities[piece], self.event_us[piece], self.data[piece])


def find(s: Session, name: str, version: int) -> StoredView | None:
    """Return the stored version of a view, or None."""
    query = select(StoredView).where(StoredView.name == name, StoredView.version == version)
    return s.scalar(query)


def list_views(s: Session) -> list[StoredView]:
    """Return every version of every view that has been materialised."""
    return list(s.scalars(select(StoredView).order_by(StoredView.name, StoredView.version)))


def begin_set(s: Session, view: StoredView, now: datetime) -> int:
    """Return the number of a new, empty set of rows of ``view``."""
    made = FeatureSet(view_id=view.id, started_at=now)
    s.add(made)
    s.flush()
    return made.id


def put(s: Session, set_id: int, rows: FeatureValues) -> None:
    """Write rows to a set; a newer event of the same entity is not overwritten.

    One prepared statement with tuples, without the ORM and its parameter handling.
    """
    if not rows.entities:
        return
    connection = s.connection()
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(FeatureValue)
    statement = insert.on_conflict_do_update(
        index_elements=["set_id", "entity"],
        set_={"event_us": insert.excluded.event_us, "data": insert.excluded.data},
        where=insert.excluded.event_us >= FeatureValue.event_us,
    )
    compiled = statement.compile(dialect=connection.dialect, column_keys=_FIELDS)
    columns = dict(zip(_FIELDS, (repeat(set_id), *rows), strict=True))
    if compiled.positional:
        lines = list(zip(*map(columns.__getitem__, compiled.positiontup), strict=False))
        connection.exec_driver_sql(str(compiled), lines)
    else:
        named = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)
        ]
        connection.exec_driver_sql(str(compiled), named)


def read_set(s: Session, set_id: int) -> dict[str, tuple[int, str]]:
    """Return time and data of every entity in a set."""
    query = select(FeatureValue.entity, FeatureValue.event_us, FeatureValue.data)
    found = s.execute(query.where(FeatureValue.set_id == set_id))
    return {entity: (event_us, data) for entity, event_us, data in found}


def entities(s: Session, set_id: int) -> list[str]:
    """Return every entity of a set."""
    return list(s.scalars(select(FeatureValue.entity).where(FeatureValue.set_id == set_id)))


def remove(s: Session, set_id: int, entities: Sequence[str]) -> None:
    """Delete the rows of these entities from a set."""
    for at in range(0, len(entities), _IN_LIMIT):
        some = entities[at : at + _IN_LIMIT]
        s.execute(
            delete(FeatureValue).where(
                FeatureValue.set_id == set_id, FeatureValue.entity.in_(some)
            ),
        )


def prune(s: Session, set_id: int, until_us: int) -> int:
    """Delete the rows of a set with events up to ``until_us``; return how many."""
    return changed(
        s,
        delete(FeatureValue).where(
            FeatureValue.set_id == set_id, FeatureValue.event_us <= until_us
        ),
    )


def count(s: Session, set_id: int) -> int:
    """Return the number of entities of a set."""
    query = select(func.count()).where(FeatureValue.set_id == set_id)
    return s.scalar(query) or 0


def leftovers(s: Session) -> list[int]:
    """Return the sets that no view names: replaced ones, and those of killed writers."""
    live = select(StoredView.set_id).where(StoredView.set_id.is_not(None))
    return list(s.scalars(select(FeatureSet.id).where(FeatureSet.id.not_in(live))))


def drop_unused(s: Session) -> None:
    """Delete all values that are in no view's live set."""
    live = select(StoredView.set_id).where(StoredView.set_id.is_not(None))
    s.execute(delete(FeatureValue).where(FeatureValue.set_id.not_in(live)))
    s.execute(delete(FeatureSet).where(FeatureSet.id.not_in(live)))


def drop_some(s: Session, set_id: int, rows: int) -> bool:
    """Delete up to ``rows`` rows of a set, finally the set itself; return whether it is gone."""
    mine = FeatureValue.set_id == set_id
    ordered = select(FeatureValue.entity).where(mine).order_by(FeatureValue.entity)
    last = s.scalar(ordered.offset(rows - 1).limit(1))
    if last is not None:
        s.execute(delete(FeatureValue).where(mine, FeatureValue.entity <= last))
        return False
    s.execute(delete(FeatureValue).where(mine))
    s.execute(delete(FeatureSet).where(FeatureSet.id == set_id))
    return True


def forget_empty(s: Session) -> None:
    """Delete the view versions that have no values and will not get any."""
    filled = select(FeatureSet.view_id)
    s.execute(delete(StoredView).where(StoredView.set_id.is_(None), StoredView.id.not_in(filled)))
