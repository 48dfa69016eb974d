"""Verdicts of the monitors: one row each, written once, read by every view."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from mlkit.store.base import Base, UtcDateTime
from mlkit.store.estimates import PerformanceEstimate
from mlkit.store.registry import Model, ModelVersion


class _Report:
    """The columns of every report."""

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    window_start: Mapped[datetime] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime] = mapped_column(UtcDateTime)
    verdict: Mapped[str] = mapped_column(String(24))
    summary: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DriftReport(_Report, Base):
    """One drift check of one model version over one window."""

    __tablename__ = "drift_report"
    __table_args__ = (Index(None, "model_id", "created_at"),)

    reference_rows: Mapped[int]
    current_rows: Mapped[int]
    version: Mapped[ModelVersion] = relationship(lazy="joined")


class PerformanceReport(_Report, Base):
    """One performance check of one model version over one window."""

    __tablename__ = "performance_report"
    __table_args__ = (Index(None, "model_id", "created_at"),)

    rows: Mapped[int]
    coverage: Mapped[float]
    version: Mapped[ModelVersion] = relationship(lazy="joined")
    estimate: Mapped[PerformanceEstimate | None] = relationship()


def drift_pace(s: Session, model_id: int, since: datetime) -> tuple[int, datetime | None]:
    """Return how many drift checks of a model were recorded since a moment, and when first."""
    query = select(func.count().label("seen"), func.min(DriftReport.created_at).label("first"))
    row = s.execute(
        query.where(DriftReport.model_id == model_id, DriftReport.created_at >= since)
    ).one()
    return row.seen, row.first


def latest_drift(s: Session, model: Model) -> DriftReport | None:
    """Return the newest drift report of the model, or None."""
    query = select(DriftReport).where(DriftReport.model_id == model.id)
    return s.scalars(query.order_by(DriftReport.id.desc()).limit(1)).first()


def latest_performance(s: Session, model: Model) -> PerformanceReport | None:
    """Return the newest performance report of the model, or None."""
    query = select(PerformanceReport).where(PerformanceReport.model_id == model.id)
    return s.scalars(query.order_by(PerformanceReport.id.desc()).limit(1)).first()
