"""Subjects whose rows are to be forgotten, known by a keyed hash and by nothing else."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime
from mlkit.store.datasets import Dataset


class Erasure(Base):
    """One subject of a dataset; ``done_at`` is when the last of its rows was gone."""

    __tablename__ = "erasure"
    __table_args__ = (UniqueConstraint("dataset_id", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    subject: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def of_dataset(s: Session, dataset_id: int) -> list[Erasure]:
    """Return the erased subjects of a dataset, in the order in which they were asked for."""
    query = select(Erasure).where(Erasure.dataset_id == dataset_id)
    return list(s.scalars(query.order_by(Erasure.id)))


def unfinished(s: Session) -> list[str]:
    """Return the names of the datasets with an erasure under way, or cut off, by name."""
    query = select(Dataset.name).join(Erasure, Erasure.dataset_id == Dataset.id)
    return list(s.scalars(query.where(Erasure.done_at.is_(None)).distinct().order_by(Dataset.name)))


def last_done(s: Session) -> datetime | None:
    """Return when the last erasure was finished: what a server polls."""
    return s.scalar(select(func.max(Erasure.done_at)))


def finish(s: Session, dataset_id: int, at: datetime) -> None:
    """Mark every erasure of a dataset that was under way as done."""
    waiting = select(Erasure).where(Erasure.dataset_id == dataset_id, Erasure.done_at.is_(None))
    for each in s.scalars(waiting):
        each.done_at = at
