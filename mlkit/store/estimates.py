"""Performance estimates made before actuals came, and the realised loss once they had come."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ForeignKey, Index, String, event, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime, changed
from mlkit.store.dialects import json_columns


class PerformanceEstimate(Base):
    """The loss estimated by a performance check; a later check writes ``realised`` once."""

    __tablename__ = "performance_estimate"
    __table_args__ = (Index(None, "model_version_id", "window_end"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("performance_report.id"), unique=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    window_start: Mapped[datetime] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime] = mapped_column(UtcDateTime)
    metric: Mapped[str] = mapped_column(String(24))
    value: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    trusted: Mapped[bool]
    rows: Mapped[int]
    realised: Mapped[float | None]
    realised_rows: Mapped[int | None]
    realised_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


_RECORDED: Final[dict[str, Any]] = {
    **dict.fromkeys(("value", "low", "high"), float),
    "metric": str,
    "rows": int,
    "realised": float | None,
    "realised_rows": int | None,
}


@event.listens_for(PerformanceEstimate, "load")
def _refuse_edited(estimate: PerformanceEstimate, _context: object) -> None:
    """Raise DamagedError for a row with values of a type that no release wrote."""
    json_columns.refuse_edited(estimate, _RECORDED)


def latest_realised(s: Session, version_id: int, limit: int) -> list[PerformanceEstimate]:
    """Return the newest estimates of a version whose realised loss is known."""
    own = PerformanceEstimate.model_version_id == version_id
    query = select(PerformanceEstimate).where(own, PerformanceEstimate.realised.is_not(None))
    return list(s.scalars(query.order_by(PerformanceEstimate.window_end.desc()).limit(limit)))


def next_to_realise(
    s: Session, version_id: int, *, start: datetime, end: datetime, rows: int = 0
) -> PerformanceEstimate | None:
    """Return the oldest unrealised estimate of a window between ``start`` and ``end``.

    Windows with fewer than ``rows`` rows are skipped.
    """
    row = PerformanceEstimate
    query = select(row).where(
        row.model_version_id == version_id,
        row.window_end <= end,
        row.window_start >= start,
        row.realised.is_(None),
        row.rows >= rows,
    )
    return s.scalars(query.order_by(row.window_end, row.id).limit(1)).first()


def realise(s: Session, estimate_id: int, value: float, *, rows: int, now: datetime) -> bool:
    """Record the realised loss unless it is already recorded; return whether it was written."""
    row = PerformanceEstimate
    open_one = update(row).where(row.id == estimate_id, row.realised.is_(None))
    found = {"realised": value, "realised_rows": rows, "realised_at": now}
    return changed(s, open_one.values(found)) == 1
