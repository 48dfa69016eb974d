"""Reports of the monitors: one row per check, never changed."""

from datetime import datetime
from typing import Any, NamedTuple, Required, TypedDict

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    ScalarSelect,
    String,
    func,
    select,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from mlkit.store.base import Base, UtcDateTime
from mlkit.store.dialects.json_columns import JsonObject
from mlkit.store.estimates import PerformanceEstimate
from mlkit.store.registry import Model, ModelVersion

_REPORTS = 200  # must suffice for a rule such as "2 of 3", which skips inconclusive reports


class _Test(TypedDict, total=False):
    name: Required[str]
    column: str
    kind: str
    drifted: bool | None


class _Reference(TypedDict, total=False):
    name: str


class _DriftDetails(TypedDict, total=False):
    verdict: str
    reference: _Reference
    rows: dict[str, int]
    features: list[_Test]
    drifted: list[str]


class _Estimated(TypedDict, total=False):
    rows: int | None
    trusted: bool | None
    reason: str | None


class _PerformanceDetails(TypedDict, total=False):
    verdict: str
    metric: str
    rows: int | None
    slices: list[Any]
    estimated: _Estimated | None
    target: _Test | None
    diagnosis: str


class _Report:
    """The columns of all reports; each kind has its own type of ``details``.

    A ``standing`` report is of a check with the window and reference of the settings, as the job
    makes it.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    window_start: Mapped[datetime] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime] = mapped_column(UtcDateTime)
    verdict: Mapped[str] = mapped_column(String(24))
    summary: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    standing: Mapped[bool] = mapped_column(default=True, server_default=true())


class DriftReport(_Report, Base):
    """One drift check of one model version over one window."""

    __tablename__ = "drift_report"
    __table_args__ = (Index(None, "model_id", "created_at"), Index(None, "model_id", "standing"))

    details: Mapped[dict[str, Any]] = mapped_column(JsonObject(_DriftDetails))
    reference_rows: Mapped[int]
    current_rows: Mapped[int]
    version: Mapped[ModelVersion] = relationship(lazy="joined")


class PerformanceReport(_Report, Base):
    """One performance check of one model version over one window."""

    __tablename__ = "performance_report"
    __table_args__ = (Index(None, "model_id", "created_at"), Index(None, "model_id", "standing"))

    details: Mapped[dict[str, Any]] = mapped_column(JsonObject(_PerformanceDetails))
    rows: Mapped[int]
    coverage: Mapped[float]
    version: Mapped[ModelVersion] = relationship(lazy="joined")
    estimate: Mapped[PerformanceEstimate | None] = relationship()


def drift_pace(s: Session, model_id: int, since: datetime) -> tuple[int, datetime | None]:
    """Return number and first time of a model's standing drift checks since ``since``."""
    query = select(func.count().label("seen"), func.min(DriftReport.created_at).label("first"))
    of_model = _standing(DriftReport, model_id)
    row = s.execute(query.where(*of_model, DriftReport.created_at >= since)).one()
    return row.seen, row.first


def last_details(
    s: Session, kind: type[DriftReport] | type[PerformanceReport], version_id: int
) -> list[dict[str, Any]]:
    """Return the details of the last standing reports about a version, newest first."""
    query = select(kind.details).where(kind.model_version_id == version_id, kind.standing.is_(True))
    return list(s.scalars(query.order_by(kind.id.desc()).limit(_REPORTS)))


def latest_drift(s: Session, model: Model) -> DriftReport | None:
    """Return the newest standing drift report of the model, or None."""
    return s.scalars(
        select(DriftReport).where(DriftReport.id.in_(_ids(DriftReport, model, 1)))
    ).first()


def latest_performance(s: Session, model: Model) -> PerformanceReport | None:
    """Return the newest standing performance report of the model, or None."""
    return s.scalars(
        select(PerformanceReport).where(PerformanceReport.id.in_(_ids(PerformanceReport, model, 1)))
    ).first()


class Past(NamedTuple):
    """A past report: its details, and its version."""

    at: datetime
    version: int
    verdict: str
    details: dict[str, Any]


def newest(
    s: Session, kind: type[DriftReport] | type[PerformanceReport], model: Model, limit: int
) -> list[Past]:
    """Return the newest standing reports of the model, the oldest of them first."""
    query = (
        select(kind.created_at, ModelVersion.number, kind.verdict, kind.details)
        .join(ModelVersion, ModelVersion.id == kind.model_version_id)
        .where(kind.id.in_(_ids(kind, model, limit)))
        .order_by(kind.id)
    )
    return [Past(*row) for row in s.execute(query)]


def _ids(
    kind: type[DriftReport] | type[PerformanceReport], model: Model, limit: int
) -> ScalarSelect[int]:
    """Select the ids of the newest reports by the index: sorting the large rows would be slow."""
    of_model = _standing(kind, model.id)
    return select(kind.id).where(*of_model).order_by(kind.id.desc()).limit(limit).scalar_subquery()


def _standing(
    kind: type[DriftReport] | type[PerformanceReport], model_id: int
) -> tuple[ColumnElement[bool], ...]:
    return kind.model_id == model_id, kind.standing.is_(True)
