"""The recent prediction log and the actuals. Features are one JSON array in schema order.

Keyed JSON objects cost ten times as much to read back (measured on 1 M rows x 25 features), so
keys are never stored per row; the views ``log_<model>`` name the columns for people.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mlkit.store.base import Base, UtcDateTime


class Prediction(Base):
    """One answered row."""

    __tablename__ = "prediction"
    __table_args__ = (Index(None, "model_id", "served_at"),)

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
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
