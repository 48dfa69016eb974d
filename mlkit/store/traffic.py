"""Counts and newest entries of the prediction log."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mlkit.store.log_columns import Actual, Prediction
from mlkit.store.segments import Segment


def since(s: Session, model_id: int, start: datetime) -> tuple[int, int]:
    """Return how many predictions a model made since ``start``, and how many have an actual."""
    query = (
        select(func.count(Prediction.seq), func.count(Actual.prediction_id))
        .outerjoin(Actual, Actual.prediction_id == Prediction.id)
        .where(Prediction.model_id == model_id, Prediction.served_at >= start)
    )
    rows, actuals = s.execute(query).one()
    return rows, actuals


def newest(s: Session) -> datetime | None:
    """Return the serving time of the newest row."""
    return s.scalar(select(func.max(Prediction.served_at)))


def last_seq(s: Session) -> int:
    """Return the sequence number of the last prediction, sealed ones included; 0 without any."""
    found = (s.scalar(select(func.max(each))) for each in (Prediction.seq, Segment.max_seq))
    return max(seq or 0 for seq in found)
