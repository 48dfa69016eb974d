"""Sealed segments of the prediction log: one Parquet file per model, day and sealing."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime
from mlkit.store.log_columns import Prediction


class Segment(Base):
    """A sealed Parquet file of one model's predictions of one day."""

    __tablename__ = "segment"
    __table_args__ = (Index(None, "model_id", "day"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    day: Mapped[str] = mapped_column(String(10))
    path: Mapped[str] = mapped_column(unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    min_seq: Mapped[int]
    max_seq: Mapped[int]
    min_time: Mapped[datetime] = mapped_column(UtcDateTime)
    max_time: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


def overlapping(
    s: Session, model_id: int, start: datetime | None, end: datetime | None
) -> list[Segment]:
    """Return the segments of a model that may hold rows from ``start`` until before ``end``.

    Sorted by day, then by sealing: sequence numbers may restart when all rows are sealed.
    """
    query = select(Segment).where(Segment.model_id == model_id)
    if start is not None:
        query = query.where(Segment.max_time >= start)
    if end is not None:
        query = query.where(Segment.min_time < end)
    return list(s.scalars(query.order_by(Segment.day, Segment.id)))


def oldest(s: Session, model_id: int) -> datetime | None:
    """Return when the oldest row of a model's log was served, sealed or not, or None."""
    sealed = select(func.min(Segment.min_time)).where(Segment.model_id == model_id)
    recent = select(func.min(Prediction.served_at)).where(Prediction.model_id == model_id)
    return min(filter(None, (s.scalar(sealed), s.scalar(recent))), default=None)


def of_day(s: Session, day: str) -> list[Segment]:
    """Return the segments of all models that hold rows of the UTC day ``day``."""
    return list(s.scalars(select(Segment).where(Segment.day == day)))


def ended_before(s: Session, cutoff: datetime) -> list[Segment]:
    """Return the segments whose last row is older than ``cutoff``."""
    return list(s.scalars(select(Segment).where(Segment.max_time < cutoff)))


def paths(s: Session) -> set[str]:
    """Return the path of every segment, relative to the project folder."""
    return set(s.scalars(select(Segment.path)))


def remove(s: Session, segment_id: int) -> None:
    """Delete the row of a segment; the caller then deletes its file."""
    s.execute(delete(Segment).where(Segment.id == segment_id))


def every(s: Session) -> list[Segment]:
    """Return all segments, oldest first."""
    return list(s.scalars(select(Segment).order_by(Segment.id)))
