"""Corrections of actuals: old and new value of each."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String, Text, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime

_IN_LIMIT = 1000  # parameters per statement; far below all databases' limits


class ActualCorrection(Base):
    """One correction; values are JSON texts, as those of ``actual``."""

    __tablename__ = "actual_correction"
    __table_args__ = (Index(None, "prediction_id"),)

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    prediction_id: Mapped[str] = mapped_column(String(36))
    old_value: Mapped[str] = mapped_column(Text)
    new_value: Mapped[str] = mapped_column(Text)
    old_observed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    new_observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    corrected_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str]


def last(s: Session) -> int:
    """Return the sequence number of the newest correction, 0 if there is none."""
    return s.scalar(select(func.max(ActualCorrection.seq))) or 0


def of(s: Session, prediction_id: str) -> list[ActualCorrection]:
    """Return the corrections of one prediction's actual, oldest first."""
    query = select(ActualCorrection).where(ActualCorrection.prediction_id == prediction_id)
    return list(s.scalars(query.order_by(ActualCorrection.seq)))


def forget(s: Session, ids: Sequence[str]) -> None:
    """Delete the corrections of deleted predictions."""
    for at in range(0, len(ids), _IN_LIMIT):
        part = ids[at : at + _IN_LIMIT]
        s.execute(delete(ActualCorrection).where(ActualCorrection.prediction_id.in_(part)))
