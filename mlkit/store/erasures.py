"""Erased data subjects, identified only by a keyed hash."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, inspect, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.alerts import Alert, AlertDelivery
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.deployments import Deployment
from mlkit.store.dialects import append_only
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport
from mlkit.store.runs import JobRun

# text and JSON columns that may quote values
WORDS: Final[dict[type[Base], tuple[str, ...]]] = {
    DatasetVersion: ("warnings",),
    ModelVersion: ("slices", "metrics", "intervals", "warnings", "verdict"),
    Deployment: ("reason", "evidence"),
    DriftReport: ("summary", "details"),
    PerformanceReport: ("summary", "details"),
    Alert: ("summary", "details", "resolution"),
    AlertDelivery: ("error",),
    JobRun: ("summary",),
}


class Erasure(Base):
    """One subject of a dataset; ``done_at`` is when its last row was erased."""

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
    """Return the erased subjects of a dataset, in the order of the requests."""
    query = select(Erasure).where(Erasure.dataset_id == dataset_id)
    return list(s.scalars(query.order_by(Erasure.id)))


def unfinished(s: Session) -> list[str]:
    """Return the names of the datasets with a running or interrupted erasure, sorted."""
    query = select(Dataset.name).join(Erasure, Erasure.dataset_id == Dataset.id)
    return list(s.scalars(query.where(Erasure.done_at.is_(None)).distinct().order_by(Dataset.name)))


def last_done(s: Session) -> datetime | None:
    """Return when the last erasure was completed, polled by servers."""
    return s.scalar(select(func.max(Erasure.done_at)))


def finish(s: Session, dataset_id: int, at: datetime) -> None:
    """Mark every unfinished erasure of a dataset as done."""
    waiting = select(Erasure).where(Erasure.dataset_id == dataset_id, Erasure.done_at.is_(None))
    for each in s.scalars(waiting):
        each.done_at = at


def every(s: Session) -> list[tuple[str, str | None, Erasure]]:
    """Return all erasures with name and entity column of the dataset.

    None in a database of a release without erasures.
    """
    if not inspect(s.connection()).has_table(Erasure.__tablename__):
        return []
    query = select(Dataset.name, Dataset.entity_column, Erasure)
    rows = s.execute(query.join(Erasure, Erasure.dataset_id == Dataset.id))
    return [(name, entity, erasure) for name, entity, erasure in rows]


def reword(s: Session, kind: type[Base], change: Callable[[Any], Any]) -> None:
    """Apply ``change`` to the ``WORDS`` columns in every row of ``kind``."""
    with append_only.lifted(s, "deployment") if kind is Deployment else nullcontext():
        for row in s.scalars(select(kind)):
            for name in WORDS[kind]:
                old = getattr(row, name)
                new = change(old)
                if new != old:
                    setattr(row, name, new)
